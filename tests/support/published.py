"""The ids of one book in the order in which it was published: they go back only where that was announced.

1. Within an epoch no book stands at an id below that of the one before it.
2. Unless something between the two says that nothing of before counts: a book that stands nowhere, one that is SYNCING
   or HALTED (which hides what is under it), or an event of `ANNOUNCING`.
3. A hole in the revisions is itself said to every reader: the announcement may have been in it.
"""

from __future__ import annotations

from hoga.wire import pb

ANNOUNCING = frozenset(
    {pb.BookEvent.KIND_RENUMBERED, pb.BookEvent.KIND_REVERSAL, pb.BookEvent.KIND_RESYNC_FINISHED},
)
NOWHERE = frozenset({pb.BookState.BOOK_STATE_SYNCING, pb.BookState.BOOK_STATE_HALTED})


class Published:
    __slots__ = ("_epoch", "_revision", "_seq")

    def __init__(self) -> None:
        self._epoch = self._revision = 0
        self._seq = 0
        """The least id that the next book may stand at."""

    def event(self, event: pb.BookEvent) -> None:
        if event.kind in ANNOUNCING:
            self._seq = 0

    def book(self, book: pb.OrderBook) -> str:
        """What is wrong with the place of this message; empty where nothing is."""
        follows = (book.epoch, book.revision) == (self._epoch, self._revision + 1)
        self._epoch, self._revision = book.epoch, book.revision
        before = self._seq if follows else 0
        self._seq = 0 if book.state in NOWHERE else max(book.sequence, 0)
        if book.state in NOWHERE or book.sequence <= 0 or book.sequence >= before:
            return ""
        return f"id {book.sequence} after {before}, and nothing said so"
