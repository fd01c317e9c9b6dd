"""What stands between the bus and one consumer of books: order, losses, and a bounded wait.

1. A book that is not newer than the last one of its symbol is dropped; a jump in revisions is counted as `lost`.
2. A LIVE book is handed on only while its publisher is known to live (see `publishers`). Until the first sign of
   life it is held back; when the publisher falls silent the book is handed on once more, as STALE; when the
   publisher is heard again it comes back as it was.
3. A busy consumer finds the newest book of every symbol (`conflate`), or the newest `limit` books of all; what was
   passed over is counted as `skipped`. Memory is bounded by the number of symbols, or by `limit`.

Pure: no event loop and no clock; `wake` is called when something waits that did not before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hoga.client.book import BookView, read_book
from hoga.client.publishers import Life, Publishers
from hoga.domain.errors import FrameError
from hoga.wire import pb

Key = tuple[str, str]
"""(exchange, symbol)"""


@dataclass(slots=True)
class _Item:
    """A book on its way to the consumer, with what was lost and skipped before it."""

    message: pb.OrderBook
    lost: int = 0
    skipped: int = 0
    new_epoch: bool = False
    doubt: str = ""

    def absorb(self, older: _Item) -> None:
        """Takes over the losses of a book that will not be handed on; the same book again is no skip."""
        self.lost += older.lost
        self.skipped += older.skipped + (not _same(self.message, older.message))
        self.new_epoch |= older.new_epoch


@dataclass(slots=True)
class _Current:
    """The newest book of a symbol, as published, and whether the consumer has it as it is, in doubt, or not yet."""

    message: pb.OrderBook
    held: _Item | None = None
    doubted: bool = False


class BookInbox:
    """Books of one subscription. `take` gives the next one, None where none waits."""

    def __init__(
        self,
        publishers: Publishers,
        *,
        conflate: bool = True,
        limit: int = 1024,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        if limit < 1:
            raise ValueError(f"limit: {limit}; at least 1 book must fit")
        self._publishers = publishers
        self._conflate = conflate
        self._limit = limit
        self._wake = wake
        self._current: dict[Key, _Current] = {}
        self._newest: dict[Key, _Item] = {}
        self._queue: deque[_Item] = deque()
        self._dropped: dict[Key, _Item] = {}
        self.lost = 0
        self.skipped = 0
        self.unreadable = 0

    @property
    def waiting(self) -> int:
        return len(self._newest) + len(self._queue)

    def offer(self, payload: bytes, now_ns: int) -> None:
        """One message of the bus. What cannot be read is counted, never raised."""
        try:
            message = read_book(payload)
        except FrameError:
            self.unreadable += 1
            return
        item = _Item(message)
        key = (message.exchange, message.symbol)
        current = self._current.get(key)
        if current is not None:
            last = current.message
            if message.epoch < last.epoch and not self._succeeds(message.epoch, last.epoch, now_ns):
                return  # a kept value of a publisher that is no more; epochs are times
            if message.epoch != last.epoch:
                item.new_epoch = True
            elif message.revision <= last.revision:
                return
            else:
                item.lost = message.revision - last.revision - 1
            # Only the first message of a subject can be a kept one; this one was published just now.
            self._publishers.heard(message.epoch, now_ns)
            if current.held is not None:
                item.absorb(current.held)
        self.lost += item.lost
        self._current[key] = current = _Current(message, held=item)
        self._judge(current, now_ns, "")

    def review(self, now_ns: int, why: str) -> None:
        """Looks again at every book after signs of life came, or time passed. `why`: what to say of the silent."""
        for current in self._current.values():
            self._judge(current, now_ns, why)

    def take(self) -> BookView | None:
        """The next book: the one that has waited longest, in its newest form."""
        if self._newest:
            item = self._newest.pop(next(iter(self._newest)))
        elif self._queue:
            item = self._queue.popleft()
            dropped = self._dropped.pop((item.message.exchange, item.message.symbol), None)
            if dropped is not None:
                item.absorb(dropped)
        else:
            return None
        self.skipped += item.skipped
        return BookView(item.message, lost=item.lost, skipped=item.skipped, new_epoch=item.new_epoch, doubt=item.doubt)

    def _succeeds(self, epoch: int, last: int, now_ns: int) -> bool:
        """Whether a publisher with a lower epoch has taken over all the same: its clock was set back."""
        gone = self._publishers.life(last, now_ns) is Life.SILENT
        return gone and self._publishers.life(epoch, now_ns) is Life.ALIVE

    def _judge(self, current: _Current, now_ns: int, why: str) -> None:
        """Hands on what may be handed on: rule 2."""
        message, held = current.message, current.held
        promised = message.state == pb.BookState.BOOK_STATE_LIVE
        life = self._publishers.life(message.epoch, now_ns) if promised else Life.ALIVE
        if life is Life.UNKNOWN:
            return
        doubtful = life is Life.SILENT
        if held is None and doubtful == current.doubted:
            return
        item = held or _Item(message)
        item.doubt = (why or "its publisher is silent") if doubtful else ""
        current.held, current.doubted = None, doubtful
        self._push(item)

    def _push(self, item: _Item) -> None:
        idle = self.waiting == 0
        if self._conflate:
            key = (item.message.exchange, item.message.symbol)
            older = self._newest.get(key)
            if older is not None:
                item.absorb(older)
            self._newest[key] = item
        else:
            self._queue.append(item)
            if len(self._queue) > self._limit:
                self._drop(self._queue.popleft())
        if idle:
            self._wake()

    def _drop(self, oldest: _Item) -> None:
        key = (oldest.message.exchange, oldest.message.symbol)
        earlier = self._dropped.get(key)
        if earlier is not None:
            oldest.absorb(earlier)
        self._dropped[key] = oldest


def _same(one: pb.OrderBook, other: pb.OrderBook) -> bool:
    return one.epoch == other.epoch and one.revision == other.revision
