"""`hoga new-exchange CODE`: the files of a new exchange, as copies of the template, for a checkout of this project.

The template is a module like any other (`hoga/exchanges/template`), of an invented exchange, checked and tested with
all the rest, so what is copied works; what is invented in it has to be replaced by what the exchange's documents say.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import hoga
from hoga.domain.errors import ConfigError
from hoga.exchanges import registry

FILES = (
    "hoga/exchanges/template/__init__.py",
    "tests/contract/samples_template.py",
    "tests/contract/test_tapes_template.py",
    "tests/support/naive_template.py",
)
_NEXT = """
What is left to do by hand (docs/adding-an-exchange.md):
  the evidence table first, then the module
  hoga/exchanges/registry.py             one line; services/simulator/venues/registry.py too, if you write an emulator
  docker-compose.yml                     ingest-{service}: one line
  deploy/prometheus/prometheus.yml       ingest-{service}:9100
  python -m deploy.env_example > .env.example"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "new-exchange",
        help="write the files of a new exchange into a checkout",
        description="Copies the template of an exchange module and its tests, under a new code.",
    )
    parser.add_argument("code", metavar="CODE", help="such as gate_spot")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    for path in write(args.code, Path(hoga.__file__).resolve().parents[1]):
        print(path)
    print(_NEXT.format(service=args.code.replace("_", "-")))
    return 0


def write(code: str, root: Path) -> list[str]:
    """Writes the files, all or none; their paths below `root`."""
    if not re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", code) or code in (*registry.EXCHANGES, "template"):
        raise ConfigError(f"CODE {code!r}: small letters, digits and single _ between them, and not in use yet")
    if missing := [name for name in FILES if not (root / name).is_file()]:
        raise ConfigError(f"{root} is no checkout of the project: it lacks {missing[0]}")
    name = "".join(part.title() for part in code.split("_"))
    written = {path.replace("template", code): (root / path).read_text("utf-8") for path in FILES}
    if there := [path for path in written if (root / path).exists()]:
        raise ConfigError(f"{there[0]} is there already")
    for path, text in written.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text.replace("template", code).replace("Template", name), "utf-8")
    return list(written)
