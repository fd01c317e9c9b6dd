"""`hoga exchanges`: what is supported, what each exchange can prove, and what it cannot show."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec
from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hoga.exchanges import registry
from hoga.exchanges.base import Continuity, Exchange

_PROVES = {
    Continuity.LINKED_IDS: "each delta names its predecessor",
    Continuity.CONSECUTIVE_IDS: "ids without a hole",
    Continuity.CHECKSUM: "checksums",
    Continuity.TIMESTAMP: "nothing: time only",
}


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "exchanges",
        help="the supported exchanges, what they can prove and their blind spots",
        description="Lists the supported exchanges: how completeness of a book can be proven, how a book starts, "
        "how deep it is, the limits we keep, and what cannot be seen.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    known = list(registry.EXCHANGES.values())
    if args.json:
        sys.stdout.write(msgspec.json.encode([as_json(exchange) for exchange in known]).decode() + "\n")
    else:
        Console().print(render(known))
    return 0


def as_json(exchange: Exchange) -> dict[str, Any]:
    traits, limits = exchange.traits, exchange.limits
    return {
        "code": exchange.code,
        "name": exchange.name,
        "korean_name": exchange.korean_name,
        "continuity": traits.continuity.value,
        "verified": traits.verified,
        "start": traits.start.value,
        "depth": traits.depth,
        "snapshot_depth": traits.snapshot_depth,
        "blind_spots": list(traits.blind_spots),
        "limits": {
            "symbols_per_link": limits.symbols_per_link,
            "symbols_per_request": limits.symbols_per_request,
            "messages_per_s": limits.messages_per_s,
            "connects_per_s": limits.connects_per_s,
            "lifetime_s": limits.lifetime_s,
            "idle_timeout_s": limits.idle_timeout_s,
            "rest_weight_per_minute": limits.rest_weight_per_minute,
        },
        "endpoints": {"ws": exchange.strategy.endpoints.ws, "rest": exchange.strategy.endpoints.rest},
        "documentation": exchange.documentation,
    }


def render(known: list[Exchange]) -> Group:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("code", "이름", "proves", "starts with", "depth", "limits"):
        table.add_column(name, no_wrap=name in ("code", "이름"), overflow="fold")
    for exchange in known:
        traits, limits = exchange.traits, exchange.limits
        table.add_row(
            exchange.code,
            exchange.korean_name,
            Text(_PROVES[traits.continuity], "green" if traits.verified else "yellow"),
            traits.start.value,
            str(traits.depth) if traits.depth else f"{traits.snapshot_depth} proven",
            f"{limits.symbols_per_link} symbols/link, {limits.rest_weight_per_minute} REST/min",
        )
    return Group(table, Text("cannot be seen", "bold"), *(_blind_spots(exchange) for exchange in known))


def _blind_spots(exchange: Exchange) -> Padding:
    spots = exchange.traits.blind_spots or ("nothing is known to be missing",)
    lines = Text("\n").join([Text(exchange.korean_name), *(Text(f"  - {spot}", "dim") for spot in spots)])
    return Padding(lines, (0, 0, 0, 2))
