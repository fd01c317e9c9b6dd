"""The life of one book in a world, on one page: `python -m tests.sim.run --seed N --trace EXCHANGE SYMBOL`.

Frames as the validator takes them (link, ids, levels), what it asks for, says and publishes, and what struck meanwhile.
All of it is seen on the bus, so that it holds for any inside of the validator, and changes nothing in the world.
"""

from __future__ import annotations

from collections.abc import Callable

from hoga.domain.errors import FrameError
from hoga.domain.types import Update
from hoga.exchanges.registry import EXCHANGES
from hoga.wire import columns, packing, pb, subjects
from tests.sim.loop import START_S, SimLoop


class OneBook:
    def __init__(self, code: str, symbol: str, write: Callable[[str], object]) -> None:
        """`symbol` is the canonical one."""
        self.code, self.symbol = code, symbol
        self._write = write
        self._asking = {subjects.rpc(method, code): method for method in ("snapshot", "resubscribe")}
        self.loop: SimLoop | None = None

    def line(self, line: str) -> None:
        """A line of the world's own trace: kept where it is about what this book shares with others."""
        words = line.split()
        if words[1] in EXCHANGES:
            return  # a book or an event: told below, with more
        about = words[2] if words[1] == "link" else words[3] if words[1] == "fault" and len(words) > 3 else ""
        code = about.partition("-")[0]
        if code == self.code or code not in EXCHANGES:
            self._write(line)

    def heard(self, subject: str, payload: bytes) -> None:
        """A message that the validator takes."""
        if subject != subjects.raw(self.code, self.symbol):
            return
        frame = pb.RawFrame.FromString(payload)
        handler = EXCHANGES[self.code].handler
        rest = frame.kind == pb.RawFrame.KIND_REST_SNAPSHOT
        try:
            body = packing.unpack(frame)
            found = [handler.parse_snapshot(frame.native_symbol, body)] if rest else handler.parse(body)
            said = "; ".join(_ids(update) for update in found if update.native_symbol == frame.native_symbol)
        except FrameError as error:
            said = f"unreadable: {error}"
        self._say("rest" if rest else f"frame {frame.link} {frame.link_seq}", said)

    def sent(self, subject: str, payload: bytes) -> None:
        """A message that reaches the bus."""
        method = self._asking.get(subject)
        if method == "snapshot" and pb.SnapshotRequest.FromString(payload).symbol == self.symbol:
            self._say("asks", "snapshot")
        elif method == "resubscribe":
            request = pb.ResubscribeRequest.FromString(payload)
            if request.symbol == self.symbol:
                self._say("asks", f"resubscribe {request.link}")
        elif subject == subjects.event(self.code, self.symbol):
            event = pb.BookEvent.FromString(payload)
            kind = pb.BookEvent.Kind.Name(event.kind).removeprefix("KIND_")
            self._say("says", f"{kind} {event.expected} {event.found} {event.count} {event.detail}")
        elif subject == subjects.book(self.code, self.symbol):
            book = pb.OrderBook.FromString(payload)
            state = pb.BookState.Name(book.state).removeprefix("BOOK_STATE_")
            shown = columns.read(book)
            best = f"{_first(shown.bid_price)}/{_first(shown.ask_price)}"
            self._say("book", f"{state} seq {book.sequence} rev {book.revision} best {best} {book.reason}")

    def _say(self, what: str, said: str) -> None:
        now = self.loop.now - START_S if self.loop is not None else 0.0
        self._write(f"{now:11.6f} {what} {said}".rstrip() + "\n")


def _ids(update: Update) -> str:
    kind = "snapshot" if update.snapshot else f"{update.prev_seq} ->"
    return f"{kind} {update.seq} with {len(update.bids)}+{len(update.asks)} levels"


def _first(column: object) -> object:
    return column[0] if column else "-"  # type: ignore[index]
