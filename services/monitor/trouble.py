"""What is wrong with the books, grouped so that a thousand of them make a handful of lines.

1. A book that is not LIVE for `NOT_LIVE_AFTER` is a problem. HALTED books are none: the exchange said so.
2. The books of one exchange and one state make one problem; it is critical where no book of the exchange is LIVE.
3. Whether raw frames still come is told beside it, because it says on which side to look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from .books import HALTED, LIVE, Book
from .problems import Problem, Severity, some

SECOND = 1_000_000_000
NOT_LIVE_AFTER_NS = 10 * SECOND


def book_problems(books: Iterable[Book], mono_ns: int, *, after_ns: int = NOT_LIVE_AFTER_NS) -> list[Problem]:
    """The problems of all books, by exchange and state."""
    live: set[str] = set()
    groups: dict[tuple[str, str], list[Book]] = defaultdict(list)
    for book in books:
        if book.state == LIVE:
            live.add(book.exchange)
        elif book.state != HALTED and mono_ns - book.since_ns > after_ns:
            groups[book.exchange, book.state].append(book)
    return [_problem(group, exchange in live) for (exchange, _state), group in groups.items()]


def _problem(group: list[Book], others_live: bool) -> Problem:
    first = group[0]
    names = some(sorted(book.symbol for book in group))
    reasons = some(sorted({book.reason for book in group if book.reason}), 2)
    moving = sum(book.rate > 0 for book in group)
    who = names if len(group) == 1 else f"{len(group)} books ({names})"
    text = f"{who} {'is' if len(group) == 1 else 'are'} {first.state}" + (f": {reasons}" if reasons else "")
    if not moving:
        text += "; nothing arrives any more"
    severity = Severity.WARNING if others_live else Severity.CRITICAL
    began_ns = min(book.since_ns for book in group)
    return Problem(f"books.{first.state}.{first.exchange}", severity, first.exchange, text, began_ns)
