"""What happens to the links of one symbol, in the words of today's keepers. It goes when they have `on_link`."""

from __future__ import annotations

from hoga.domain.actions import Action
from hoga.domain.keeper import Keeper
from hoga.domain.links import LinkEvent, LinkEventKind
from hoga.domain.types import Stamp


class LinkAdapter:
    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._open: dict[str, bool] = {}
        """Link -> whether it is SETTLED."""
        keeper.live_links = self._open.keys()
        keeper.uncovered_reason = "nothing is reported yet on the link that carries it"

    def on_link(self, event: LinkEvent, stamp: Stamp) -> list[Action]:
        keeper, others = self._keeper, len(self._open.keys() - {event.link})
        known = event.link in self._open
        if event.kind is LinkEventKind.CLOSED:
            if self._open.pop(event.link, None) is None:
                return []
            if others:
                return keeper.link_moved(stamp, planned=event.planned)
            return keeper.link_down(event.reason, stamp)
        self._open[event.link] = event.kind is LinkEventKind.SETTLED
        keeper.settled_link = all(self._open.values())
        if known or others:
            return []
        keeper.link_down(keeper.uncovered_reason, stamp)  # what came before it was open proves nothing
        return [*keeper.link_up(stamp), *keeper.open(stamp)]
