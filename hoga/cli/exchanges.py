"""`hoga exchanges`: what is supported, what each exchange can prove, and what it cannot show."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hoga.exchanges import registry
from hoga.exchanges.base import BookStart, Continuity, Exchange, Limits

_PROVES = {
    Continuity.LINKED_IDS: "linked ids",
    Continuity.CONSECUTIVE_IDS: "ids in a row",
    Continuity.CONNECTION_IDS: "ids of link",
    Continuity.CHECKSUM: "checksums",
    Continuity.TIMESTAMP: "time only",
}
_STARTS = {BookStart.REST: "REST", BookStart.IN_BAND: "in stream", BookStart.WHOLE_FRAME: "whole frame"}
_PROOF_NOTES = (
    "DEPTH: levels a side.  *: of the last snapshot, changes as the price moves.",
    "+: a checksum covers only the best levels.  time only: nothing is verified.",
)
_LIMIT_NOTES = (
    "SYMBOLS: on one connection.  REQUEST: symbols in one subscription.",
    "SENDS: frames a second on one connection.  AN HOUR: subscriptions on one.",
    "CONNECTS: a minute, sustained.  AT ONCE: so many of them without a wait.",
    "LIFE: then the exchange cuts; a new connection overlaps before.",
    "IDLE: a connection on which nothing arrives for so long is given up.",
    "REST: weight a minute, of which `rest_share` is used.",
)
_LIMITS = ("SYMBOLS", "REQUEST", "SENDS", "AN HOUR", "CONNECTS", "AT ONCE", "LIFE", "IDLE", "REST")


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
        "proven_levels": traits.proven_levels,
        "checksum_levels": traits.checksum.levels if traits.checksum else 0,
        "redundant_lines": "not compared" if traits.by_link else "compared by id" if traits.verified else "by time",
        "blind_spots": list(traits.blind_spots),
        "limits": {
            "symbols_per_link": limits.symbols_per_link,
            "symbols_per_request": limits.symbols_per_request,
            "messages_per_s": limits.messages_per_s,
            "connects_per_s": limits.connects_per_s,
            "requests_per_hour": limits.requests_per_hour,
            "connect_burst": limits.connect_burst,
            "lifetime_s": limits.lifetime_s,
            "idle_timeout_s": limits.idle_timeout_s,
            "rest_weight_per_minute": limits.rest_weight_per_minute,
        },
        "endpoints": {"ws": exchange.strategy.endpoints.ws, "rest": exchange.strategy.endpoints.rest},
        "documentation": exchange.documentation,
    }


def render(known: list[Exchange]) -> Group:
    """Fits 80 columns; what needs sentences stands below the tables."""
    return Group(
        _proofs(known),
        *_notes(_PROOF_NOTES),
        Text("\nLimits we keep", "bold"),
        _limits(known),
        *_notes(_LIMIT_NOTES),
        Text("\nWhat cannot be seen", "bold"),
        *(_blind_spots(exchange) for exchange in known),
    )


def _proofs(known: list[Exchange]) -> Table:
    table = _table("CODE", "NAME", "PROVEN BY", "START")
    table.add_column("DEPTH", no_wrap=True, justify="right")
    for exchange in known:
        traits = exchange.traits
        table.add_row(
            exchange.code,
            exchange.korean_name,
            Text(_PROVES[traits.continuity], "green" if traits.verified else "yellow"),
            _STARTS[traits.start],
            _depth(exchange),
        )
    return table


def _limits(known: list[Exchange]) -> Table:
    table = _table("CODE")
    for name in _LIMITS:
        table.add_column(name, no_wrap=True, justify="right")
    for exchange in known:
        table.add_row(exchange.code, *_limit_cells(exchange.limits))
    return table


def _limit_cells(limits: Limits) -> tuple[str, ...]:
    """In the order of `_LIMITS`."""
    return (
        str(limits.symbols_per_link),
        str(limits.symbols_per_request),
        f"{limits.messages_per_s:g}",
        str(limits.requests_per_hour or "–"),
        f"{limits.connects_per_s * 60:g}",
        str(limits.connect_burst),
        f"{limits.lifetime_s / 3600:g} h" if limits.lifetime_s else "–",
        f"{limits.idle_timeout_s:g} s",
        str(limits.rest_weight_per_minute),
    )


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold dim")
    for name in names:
        table.add_column(name, no_wrap=True)
    return table


def _notes(lines: tuple[str, ...]) -> list[Text]:
    return [Text(line, "dim") for line in lines]


def _depth(exchange: Exchange) -> str:
    traits = exchange.traits
    if traits.proven_levels:
        return f"{traits.depth}+"
    if traits.depth:
        return str(traits.depth)
    return f"{traits.snapshot_depth}*" if traits.start is BookStart.REST else "all"


def _blind_spots(exchange: Exchange) -> Group:
    spots = Table.grid(padding=(0, 1, 0, 0))
    for spot in exchange.traits.blind_spots or ("nothing is known to be missing",):
        spots.add_row("  -", Text(spot, "dim"))
    return Group(Text(f"  {exchange.korean_name}"), Padding(spots, (0, 0, 0, 1)))
