"""How a symbol is mended: what both ways have in common. See `rest_recovery` and `in_band_recovery`."""

from __future__ import annotations

from abc import ABC, abstractmethod

from hoga.domain.episode import URGENT
from hoga.domain.ledger import Ledger
from hoga.domain.stream import Stream
from hoga.domain.types import Stamp, Update


class Recovery(ABC):
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @property
    @abstractmethod
    def wanting(self) -> bool:
        """Whether a snapshot is on its way."""

    @property
    @abstractmethod
    def stubborn(self) -> bool:
        """Whether snapshots keep failing."""

    @abstractmethod
    def want(self, stream: Stream | None, priority: int, stamp: Stamp) -> None:
        """A snapshot is wanted, for that stream where one is named; does nothing where one is on its way."""

    @abstractmethod
    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> None:
        """The answer of the REST interface; `limit` is how many levels a side were asked for (0: all)."""

    @abstractmethod
    def failed(self, stream: Stream, stamp: Stamp) -> None:
        """A snapshot over the stream was no good."""

    @abstractmethod
    def joined(self, stream: Stream, stamp: Stamp) -> None:
        """A stream has a book again, that of a snapshot over it or of a sibling."""

    @abstractmethod
    def needless(self, front: Stream, stamp: Stamp) -> bool:
        """The published book is whole and current by itself: ends what was begun for it; whether anything was."""

    @abstractmethod
    def tick(self, stamp: Stamp) -> None:
        """What time decides."""

    @abstractmethod
    def opened(self, stream: Stream, stamp: Stamp) -> None:
        """The link of a stream carries the symbol from now on."""

    @abstractmethod
    def closed(self, stream: Stream, stamp: Stamp) -> None:
        """It does not any more."""

    def forget_answer(self) -> None:  # noqa: B027  only answers by REST are held
        """An answer that is held is not to be believed any more."""

    def arrived(self, stamp: Stamp) -> None:  # noqa: B027  as above
        """A stream has brought something; it may be what a held answer lacked."""

    def hurry(self, stamp: Stamp) -> None:  # noqa: B027  as above
        """Deltas may be there to join an answer to."""

    def lose(self, stream: Stream, reason: str, stamp: Stamp) -> None:
        """The book of a stream is not to be trusted any more."""
        stream.lose(reason)
        self.want(stream, URGENT, stamp)
