"""What led to a violation: the last messages of a book, of its links and the faults about it, in order.

Kept in memory for every book; written to the log only where the judge accuses one.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque

from hoga.wire import pb

KEPT = 120
"""Lines of each book, and of each exchange."""
MOST_TOLD = 12
"""Accusations that are explained in one run."""

log = logging.getLogger(__name__)


class Trail:
    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[float, str]]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._symbols: dict[tuple[str, str], str] = {}
        self._links: dict[tuple[str, str, str], str] = {}
        self._told = 0

    def add(self, where: str, text: str) -> None:
        """`where`: "*", an exchange or "exchange symbol"."""
        self._lines[where].append((time.time(), text))

    def book(self, book: pb.OrderBook) -> None:
        state = pb.BookState.Name(book.state).removeprefix("BOOK_STATE_")
        age_s = (book.publish_time_ns - book.receive_time_ns) / 1e9
        text = f"{state} {book.epoch % 1000}/{book.revision} seq {book.sequence} received {age_s:.2f} s before"
        self._symbols[book.exchange, book.native_symbol] = book.symbol
        self.add(f"{book.exchange} {book.symbol}", f"{text} {book.reason}")

    def event(self, event: pb.BookEvent) -> None:
        kind = pb.BookEvent.Kind.Name(event.kind).removeprefix("KIND_")
        self.add(f"{event.exchange} {event.symbol}", f"{kind} {event.detail}")

    def link(self, status: pb.LinkStatus) -> None:
        """Only changes are worth a line."""
        state = pb.LinkState.Name(status.state).removeprefix("LINK_STATE_")
        text = f"{status.slot} {status.link} {state} {status.reason} waiting {list(status.waiting)}"
        text += f" behind {status.behind_ns / 1e9:.1f} s" if status.behind_ns > 10**9 else ""
        where = (status.exchange, status.slot, status.line)
        if self._links.get(where) != text:
            self._links[where] = text
            self.add(status.exchange, text)

    def tell(self, accusation: str, exchange: str, native: str) -> None:
        self._told += 1
        if self._told > MOST_TOLD:
            return
        symbol = self._symbols.get((exchange, native), native)
        wheres = {"*", exchange, f"{exchange} {symbol}", f"{exchange} {native}"}
        lines = sorted(line for where in wheres for line in self._lines[where])
        told = [f"  {_clock(at_s)} {text}" for at_s, text in lines]
        log.warning("%s; before it:\n%s", accusation, "\n".join(told[-2 * KEPT :]))


def _clock(at_s: float) -> str:
    return f"{time.strftime('%T', time.localtime(at_s))}.{int(at_s * 1000) % 1000:03d}"
