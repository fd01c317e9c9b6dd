"""Generates the Python protobuf modules from `proto/` into `hoga/wire/generated`.

Run by `make proto`; with `--check DIR` free it writes elsewhere, so that `make check` can compare.
"""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


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
    for folder in (target, target / "orderbook", target / "orderbook" / "v1"):
        (folder / "__init__.py").write_text("")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=ROOT / "hoga" / "wire" / "generated")
    generate(parser.parse_args().target)
