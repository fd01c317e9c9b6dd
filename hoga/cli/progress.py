"""How far `hoga up` has come: LIVE books against subscribed symbols, exchange by exchange. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hoga.cli.board import Board
from hoga.client import State
from hoga.exchanges import registry

SETTLE_S = 6.0
"""How long the slow books are waited for once every exchange has a LIVE one."""
PATIENCE_S = 25.0
"""After so long what there is will do, and what is missing is said."""


@dataclass(frozen=True, slots=True)
class Share:
    """One exchange: `live` of `wanted` books; `trouble` is what its links say."""

    code: str
    live: int
    wanted: int
    trouble: str

    @property
    def name(self) -> str:
        exchange = registry.EXCHANGES.get(self.code)
        return exchange.korean_name if exchange else self.code


def shares(board: Board, codes: Sequence[str], now_ns: int) -> list[Share]:
    """What each of `codes` has reached."""
    rows = {row.code: row for row in board.exchanges(now_ns)}
    links = board.links(now_ns)
    found = []
    for code in codes:
        states = rows[code].states if code in rows else None
        own = [link for link in links if link.exchange == code]
        wanted = max(sum(link.symbols for link in own), states.total() if states else 0)
        trouble = next((link.reason for link in own if link.reason), "" if own else "nothing is subscribed yet")
        found.append(Share(code, states[State.LIVE] if states else 0, wanted, trouble))
    return found


def ready(found: Sequence[Share], elapsed_s: float, all_live_for_s: float) -> bool:
    """Whether the books can be shown: all of them, or nearly all after some patience.

    `all_live_for_s`: since every exchange has at least one LIVE book.
    """
    if all(share.wanted and share.live >= share.wanted for share in found):
        return True
    if all(share.live for share in found):
        return all_live_for_s >= SETTLE_S
    return elapsed_s >= PATIENCE_S and any(share.live for share in found)


def waiting_text(found: Sequence[Share]) -> str:
    """`waiting for books: 바이낸스 선물 3/10, 업비트 -/-`"""
    parts = [f"{share.name} {share.live}/{share.wanted}" if share.wanted else f"{share.name} …" for share in found]
    return "waiting for books: " + ", ".join(parts)


def complaints(found: Sequence[Share], said: Callable[[str], str] = lambda _code: "") -> list[str]:
    """One line for each exchange without a LIVE book; `said(code)` is what its ingest complained about last."""
    lines = []
    for share in found:
        if not share.live:
            why = said(share.code) or share.trouble or "its snapshot is awaited"
            lines.append(f"{share.name} ({share.code}): no LIVE book yet: {why}")
    return lines
