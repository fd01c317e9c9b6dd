"""The picture of `hoga top`: three tables of text lines that fit a terminal of 80 columns.

Where the rows do not fit the height, processes give way first, then links; what is left out is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import set_cell_size
from rich.text import Text

from hoga.cli.board import Board, ExchangeRow, LinkRow, ProcessRow
from hoga.cli.looks import STATE_STYLES, amount, clock, duration, rate, uptime
from hoga.client import State
from hoga.domain.types import Stamp
from hoga.exchanges import registry
from hoga.wire import pb

Cell = tuple[str, str]
"""(text, style)"""

_EXCHANGES = (("EXCHANGE", 16), ("BOOKS", -6), ("LIVE", -6), ("", 1), ("NOT LIVE", 16))
_EXCHANGE_RATES = (("RAW/S", -8), ("BOOKS/S", -8), ("GAPS", -6), ("RESYNC", -7), ("LOST", -6))
_LINKS = (("LINK", 20), ("STATE", 11), ("SYMBOLS", -8), ("FRAMES/S", -9), ("B/S", -9), ("LAST", -9), ("RECONN", -7))
_PROCESSES = (("PROCESS", 28), ("UP", -11), ("CPU", -8), ("MEMORY", -8), ("", 2), ("HEALTH", 23))
_LINK_STYLES = {
    pb.LinkState.LINK_STATE_CONNECTED: "green",
    pb.LinkState.LINK_STATE_CONNECTING: "cyan",
    pb.LinkState.LINK_STATE_BACKOFF: "bold yellow",
}


def draw(board: Board, now: Stamp, where: str, connected: bool, width: int, height: int) -> list[Text]:
    """The whole picture; `height` 0: as long as it gets, without the key line."""
    now_ns = now.mono_ns
    state = Text("" if connected else "  NATS IS AWAY", "bold red")
    title = Text.assemble(("hoga top", "bold"), (f" · {where}", "dim"), state)
    moment = clock(now.wall_ns)[:8] + " UTC"
    lines = [Text.assemble(title, " " * max(1, width - title.cell_len - len(moment)), moment), Text()]
    exchanges = _table(_EXCHANGES + _EXCHANGE_RATES, [_exchange(row) for row in board.exchanges(now_ns)])
    links = _table(_LINKS, [_link(row) for row in board.links(now_ns)])
    processes = _table(_PROCESSES, [_process(row) for row in board.processes(now_ns)])
    if len(exchanges) == 1 and len(processes) == 1:
        return [*lines, Text("nothing reports here yet", "dim"), *_keys(height, len(lines) + 1)]
    room = (height - len(lines) - 3) if height else 10_000
    links_room = max(3, room - len(exchanges) - len(processes))
    links = _cut(links, links_room)
    processes = _cut(processes, max(3, room - len(exchanges) - len(links)))
    lines += [*exchanges, Text(), *links, Text(), *processes]
    return [*lines, *_keys(height, len(lines))]


def _keys(height: int, used: int) -> list[Text]:
    return [*([Text()] * max(0, height - used - 1)), Text("q quit", "dim")] if height else []


def _exchange(row: ExchangeRow) -> list[Cell]:
    exchange = registry.EXCHANGES.get(row.code)
    live = row.states.get(State.LIVE, 0)
    others = [(state, count) for state, count in sorted(row.states.items()) if state is not State.LIVE]
    words = " ".join(f"{count} {state.name}" for state, count in others)
    return [
        (exchange.korean_name if exchange else row.code, ""),
        (f"{row.books}", ""),
        (f"{live}", "green" if live == row.books else "yellow"),
        ("", ""),
        (words or "·", STATE_STYLES[others[0][0]] if others else "dim"),
        (rate(row.raw_per_s), ""),
        (rate(row.books_per_s), ""),
        _count(row.gaps, "yellow"),
        _count(row.resyncs, ""),
        _count(row.dropped, "bold red"),
    ]


def _link(row: LinkRow) -> list[Cell]:
    name = pb.LinkState.Name(row.state).removeprefix("LINK_STATE_") if row.state in pb.LinkState.values() else "?"
    if row.silent_ns:
        state = (f"SILENT {duration(row.silent_ns)}", "bold red")
    else:
        state = (name, _LINK_STYLES.get(row.state, ""))
    return [
        (row.slot, ""),
        state,
        (str(row.symbols), ""),
        (rate(row.frames_per_s), ""),
        (amount(row.bytes_per_s), ""),
        (duration(row.last_frame_age_ns) if row.last_frame_age_ns >= 0 else "-", ""),
        _count(row.reconnects, "yellow"),
    ]


def _process(row: ProcessRow) -> list[Cell]:
    if row.silent_ns:
        health = (f"silent for {duration(row.silent_ns)}", "bold red")
    else:
        health = ("ok", "green") if row.healthy else (row.reason, "yellow")
    return [
        (f"{row.service} {row.instance}", ""),
        (uptime(row.up_ns), ""),
        (f"{row.cpu_share * 100:.1f} %", ""),
        (amount(row.resident_bytes), ""),
        ("", ""),
        health,
    ]


def _count(count: int, style: str) -> Cell:
    return (f"{count:,}", style) if count else ("·", "dim")


def _table(columns: Sequence[tuple[str, int]], rows: Sequence[Sequence[Cell]]) -> list[Text]:
    """Lines with the names on top; a negative width aligns right. Cells are cut to their columns."""
    lines = [_row(columns, [(name, "dim bold") for name, _ in columns])]
    return lines + [_row(columns, cells) for cells in rows]


def _row(columns: Sequence[tuple[str, int]], cells: Sequence[Cell]) -> Text:
    line = Text()
    for (_, width), (text, style) in zip(columns, cells, strict=True):
        cut = Text(text)
        cut.truncate(abs(width) - (width < 0), overflow="ellipsis")
        if width < 0:
            line.append(" " * (-width - cut.cell_len))
            line.append(cut.plain, style)
        else:
            line.append(set_cell_size(cut.plain, width), style)
    return line


def _cut(lines: list[Text], room: int) -> list[Text]:
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], Text(f"… and {len(lines) - room + 1} more", "dim")]
