"""Generates the Python protobuf modules from `proto/` into `hoga/wire/generated`.

Run by `make proto`. With `--check` nothing is written: what is committed is compared with what would be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "hoga" / "wire" / "generated"


def generate(target: Path) -> None:
    """Writes `orderbook/v1/*_pb2.py(i)` below `target`; raises RuntimeError where protoc refuses."""
    from grpc_tools import protoc

    sources = sorted((ROOT / "proto").rglob("*.proto"))
    target.mkdir(parents=True, exist_ok=True)
    well_known = resources.files("grpc_tools") / "_proto"
    status = protoc.main(
        ["protoc", f"-I{ROOT / 'proto'}", f"-I{well_known}", f"--python_out={target}", f"--pyi_out={target}"]
        + [str(path) for path in sources]
    )
    if status != 0:
        raise RuntimeError(f"protoc failed with status {status}; its message stands above")
    for path in (target / "orderbook" / "v1").glob("*_pb2.py*"):
        # protoc imports from the root of the protos, which is no package of ours.
        path.write_text(path.read_text().replace("from orderbook.v1 import ", "from . import "))
    for folder in (target, target / "orderbook", target / "orderbook" / "v1"):
        (folder / "__init__.py").write_text("")


def differences(committed: Path) -> list[str]:
    """The generated files that are not what `proto/` says, by name."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        names = {
            path.relative_to(root)
            for root in (fresh, committed)
            for path in root.rglob("*.py*")
            if path.suffix != ".pyc"
        }
        return sorted(str(name) for name in names if _text(fresh / name) != _text(committed / name))


def _text(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def main() -> int:
    parser = argparse.ArgumentParser(description="Generates the protobuf modules from proto/.")
    parser.add_argument("--check", action="store_true", help="only say whether the committed modules are current")
    if not parser.parse_args().check:
        generate(TARGET)
        return 0
    stale = differences(TARGET)
    for name in stale:
        sys.stderr.write(f"{name} is not what proto/ says: run `make proto` and commit the result\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
