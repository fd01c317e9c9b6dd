"""`hoga service NAME …`: runs one service in this process, as the container image does."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hoga.cli.options import settings_of
from hoga.domain.errors import ConfigError


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "service",
        help="run one service (what a container does)",
        description="Replaces this process by one service: the same as `python -m services.NAME …`.",
        epilog="`hoga service NAME --help` prints the service's own options.",
    )
    parser.add_argument("name", metavar="NAME", help="ingest, validator, aggregator, monitor, simulator …")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…", help="arguments of the service")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.name not in available():
        raise ConfigError(f"unknown service {args.name!r}; known: {', '.join(available())}")
    command = [sys.executable, "-m", f"services.{args.name}", *args.arguments]
    env = dict(os.environ)
    if args.nats is not None:
        env["HOGA_NATS_URL"] = settings_of(args).nats.url
    if args.config is not None:
        env["HOGA_CONFIG"] = str(args.config)
    sys.stdout.flush()
    os.execve(command[0], command, env)  # noqa: S606 - the point of the command


def emulated() -> list[str]:
    """Codes of the exchanges that the simulator can play; asked of it, found by name as every service is."""
    return list(import_module("services.simulator.venues.registry").emulated())


def available() -> list[str]:
    """Services that are installed and can be started, by name."""
    services = find_spec("services")
    if services is None or services.submodule_search_locations is None:
        return []
    places = [Path(place) for place in services.submodule_search_locations]
    return sorted({start.parent.name for place in places for start in place.glob("*/__main__.py")})
