"""What was brought under the newest ids, so that lines can be compared: the same id has the same levels on each."""

from __future__ import annotations

from hoga.domain.types import Update

REMEMBERED_UPDATES = 64


class Recent:
    """The newest ids of a stream; of the levels only a hash is kept."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int, str]] = {}
        """Id -> (id built on, hash of the levels, link that brought it first)."""

    def remember(self, update: Update, link: str) -> None:
        self._known[update.seq] = (update.prev_seq, _levels_hash(update), link)
        if len(self._known) > REMEMBERED_UPDATES:
            del self._known[next(iter(self._known))]

    def has(self, update: Update) -> bool:
        """Whether that step, from one id to another, was brought already."""
        known = self._known.get(update.seq)
        return known is not None and known[0] == update.prev_seq

    def agrees(self, update: Update, link: str) -> bool | None:
        """Whether a link brings what another one has brought under the same id; None where none is known to have, or
        both bring nothing, which shows nothing."""
        known = self._known.get(update.seq)
        if known is None or known[2] == link or known[0] != update.prev_seq:
            return None
        same = known[1] == _levels_hash(update)
        return None if same and not (update.bids or update.asks) else same

    def clear(self) -> None:
        self._known.clear()


def _levels_hash(update: Update) -> int:
    return hash((tuple(update.bids), tuple(update.asks)))
