"""A book as a ladder of lines (호가창): asks above, bids below, bars of size growing out of the price column.

    바이낸스 선물 · BTC-USDT                                        ● LIVE verified
    sequence 8124 · known 1000 × 998 · gaps 0 · resyncs 1         09:30:00.123 UTC
                        매도 ask        price         bid 매수
                  ██████  1.204     61,500.20
                  ─────────── spread 0.10 · 0.02 bp · mid 61,500.15 ──────────────
                                    61,500.10      0.377  ██
Pure: a view, a width and a number of rows in, lines out. Widths are terminal cells (a Hangul syllable takes two).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.cells import cell_len
from rich.text import Text

from hoga.cli.looks import ASK_STYLE, BID_STYLE, STATE_STYLES, clock, decimals_of, number
from hoga.client import BookView, Level, State

SIZE_CELLS = 16
"""A live ladder rounds sizes to fit here; `exact=True` writes them out."""
_EIGHTHS = " ▏▎▍▌▋▊▉"
_DIM_STATES = (State.STALE, State.SYNCING, State.HALTED)


class Ladder:
    """Draws one market. Columns only ever widen, so that a live picture does not jump."""

    def __init__(self, title: str, *, exact: bool = False) -> None:
        """`title`: the exchange's name. `exact`: never round a size, as wide as it gets."""
        self._title = title
        self._exact = exact
        self._price_decimals = 0
        self._size_decimals = 0
        self._price_cells = 0
        self._size_cells = 6

    def head(self, book: BookView, width: int) -> list[Text]:
        """Two lines: whose book, its state; where it stands. A third says why it is not LIVE."""
        name = Text.assemble((self._title, "bold"), (" · ", "dim"), (book.symbol, "bold"))
        best = f"best {book.proven_levels} " if book.proven_levels else ""
        promise = f"{best}verified" if book.verified else "no ids"
        phase = f" {book.phase.label}" if book.phase.label else ""
        state = Text.assemble((f"● {book.state.name}{phase}", STATE_STYLES[book.state]), (f" {promise}", "dim"))
        facts = " · ".join(
            [
                f"sequence {book.sequence}" if book.sequence else f"revision {book.revision}",
                f"known {book.bids_known} × {book.asks_known}",
                f"gaps {book.gap_count}",
                f"resyncs {book.resync_count}",
            ]
        )
        moment = book.exchange_time_ns or book.receive_time_ns
        lines = [_spread_out(name, state, width), _spread_out(Text(facts, "dim"), Text(clock(moment) + " UTC"), width)]
        if not book.live:
            missing = f" ({book.missing} ids missing)" if book.missing else ""
            lines.append(_fit(Text(f"{book.reason}{missing}", STATE_STYLES[book.state]), width))
        return lines

    def levels(self, book: BookView, width: int, rows: int) -> list[Text]:
        """1 + 2 * `rows` + 1 lines: column names, asks with the best one lowest, the spread, bids."""
        asks, bids = book.asks[:rows], book.bids[:rows]
        self._widen(asks + bids, width)
        largest = max((level.size for level in asks + bids), default=Decimal(0))
        dim = book.state in _DIM_STATES
        side = max(0, (width - self._price_cells) // 2)
        lines = [_column_names(side, self._price_cells, width)]
        blank = Text()
        lines += [blank] * (rows - len(asks))
        lines += [self._ask(level, largest, side, dim) for level in reversed(asks)]
        lines.append(self._middle(book, width))
        lines += [self._bid(level, largest, side, dim) for level in bids]
        lines += [blank] * (rows - len(bids))
        return lines

    def _widen(self, levels: Sequence[Level], width: int) -> None:
        for level in levels:
            self._price_decimals = max(self._price_decimals, decimals_of(level.price))
            self._size_decimals = max(self._size_decimals, decimals_of(level.size))
        for level in levels:
            self._price_cells = max(self._price_cells, len(number(level.price, self._price_decimals)))
        most = max(6, min(SIZE_CELLS, (width - self._price_cells) // 2 - 4))
        whole = max((len(f"{int(level.size):,}") for level in levels), default=1)
        if not self._exact:
            self._size_decimals = max(0, min(self._size_decimals, most - whole - 1))
        for level in levels:
            self._size_cells = max(self._size_cells, len(number(level.size, self._size_decimals)))

    def _ask(self, level: Level, largest: Decimal, side: int, dim: bool) -> Text:
        style = ASK_STYLE + (" dim" if dim else "")
        size = number(level.size, self._size_decimals).rjust(self._size_cells)
        bar = _bar_leftwards(level.size, largest, side - self._size_cells - 4)
        price = number(level.price, self._price_decimals).rjust(self._price_cells)
        return Text.assemble((bar, style), "  ", (size, "dim" if dim else ""), "  ", (price, style))

    def _bid(self, level: Level, largest: Decimal, side: int, dim: bool) -> Text:
        style = BID_STYLE + (" dim" if dim else "")
        size = number(level.size, self._size_decimals).rjust(self._size_cells)
        bar = _bar_rightwards(level.size, largest, side - self._size_cells - 4)
        price = number(level.price, self._price_decimals).rjust(self._price_cells)
        return Text.assemble(" " * side, (price, style), "  ", (size, "dim" if dim else ""), "  ", (bar, style))

    def _middle(self, book: BookView, width: int) -> Text:
        mid, spread = book.mid, book.spread
        if mid is None or spread is None:
            words = " one side is empty " if book.bids or book.asks else " no levels "
        else:
            bp = f"{spread / mid * 10_000:.2f} bp" if mid else "-"
            middle = number(mid, min(self._price_decimals + 1, max(self._price_decimals, decimals_of(mid))))
            words = f" spread {number(spread, self._price_decimals)} · {bp} · mid {middle} "
        rule = max(0, width - len(words))
        line = "─" * (rule // 2) + words + "─" * (rule - rule // 2)
        crossed = spread is not None and spread <= 0
        return _fit(Text(line, STATE_STYLES[State.CROSSED] if crossed else "dim"), width)


def _bar_rightwards(size: Decimal, largest: Decimal, cells: int) -> str:
    eighths = _filled(size, largest, cells * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()).ljust(max(0, cells))


def _bar_leftwards(size: Decimal, largest: Decimal, cells: int) -> str:
    halves = _filled(size, largest, cells * 2)
    return ("▐" * (halves % 2) + "█" * (halves // 2)).rjust(max(0, cells))


def _filled(size: Decimal, largest: Decimal, steps: int) -> int:
    """Steps of the bar; at least one for a level that exists."""
    if steps <= 0 or largest <= 0:
        return 0
    return max(1, int(size / largest * steps))


def _column_names(side: int, price_cells: int, width: int) -> Text:
    left = _right_aligned("매도 ask", side - 2)
    return _fit(Text(left + "  " + "price".rjust(price_cells) + "  bid 매수", "dim"), width)


def _right_aligned(text: str, cells: int) -> str:
    return " " * max(0, cells - cell_len(text)) + text


def _spread_out(left: Text, right: Text, width: int) -> Text:
    """`left` and `right` at the two ends of one line; the left one is cut where they do not fit."""
    room = max(0, width - right.cell_len - 1)
    head = _fit(left, room)
    return _fit(Text.assemble(head, " " * max(1, width - head.cell_len - right.cell_len), right), width)


def _fit(text: Text, width: int) -> Text:
    fitted = text.copy()
    fitted.truncate(width, overflow="ellipsis")
    return fitted
