"""From frames to keepers: the one path from bytes to books that production and replay share.

`BookShelf` holds the keepers of one exchange. It parses frames, hands updates to the keeper of their symbol and
returns what was decided; it does no I/O and knows no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hoga.domain.actions import Action
from hoga.domain.errors import FrameError, snippet
from hoga.domain.in_band import InBandKeeper
from hoga.domain.joined import JoinedKeeper
from hoga.domain.keeper import Keeper, KeeperRules
from hoga.domain.line import LineKeeper
from hoga.domain.types import Stamp, Update
from hoga.domain.whole import WholeBookKeeper
from hoga.exchanges.base import BookStart, Channel, Continuity, Exchange

REMEMBERED_LINKS = 256


def make_keeper(channel: Channel, rules: KeeperRules) -> Keeper:
    """The keeper that fits what a channel can prove."""
    kept = channel.depth or 0
    if channel.start is BookStart.WHOLE_FRAME:
        return WholeBookKeeper(rules, kept=kept)
    if channel.by_link:
        numbered = channel.continuity is Continuity.CONNECTION_IDS
        depth = kept if channel.truncates else 0
        return LineKeeper(rules, checksum=channel.checksum, depth=depth, numbered=numbered)
    if channel.start is BookStart.IN_BAND:
        return InBandKeeper(rules, kept=kept, checksum=channel.checksum)
    return JoinedKeeper(rules, kept=kept)


class BookShelf:
    """The books of one exchange, by a key of the caller's (the canonical symbol, or the native id)."""

    def __init__(self, exchange: Exchange, rules: KeeperRules) -> None:
        self.exchange = exchange
        self.rules = rules
        self.keepers: dict[str, Keeper] = {}
        self.channels: dict[str, Channel] = {}
        """Of which channel a book is made, where that is not the live one."""
        self._numbered = exchange.traits.continuity is Continuity.CONNECTION_IDS
        self._numbers: dict[str, int] = {}
        """Link -> the connection's number of its newest frame."""
        self.observe: Callable[[str, Update], None] | None = None
        """Sees every parsed stream update, with its key, before the keeper does."""

    def keeper(self, key: str, channel: Channel | None = None) -> Keeper:
        """The keeper of a symbol, made where there is none: of the live channel unless another is given."""
        keeper = self.keepers.get(key)
        if keeper is None:
            live = self.exchange.traits
            if channel is not None and channel is not live:
                self.channels[key] = channel
            keeper = self.keepers[key] = make_keeper(channel or live, self.rules)
        return keeper

    def frame(self, key: str, native: str, frame: bytes, link: str, stamp: Stamp) -> list[Action]:
        """One websocket frame that was routed to `native`; what it says of other symbols is left to their frames.
        Where the exchange numbers its connections the frame goes through `connection` first."""
        keeper = self.keeper(key)
        keeper.counters.frames += 1
        try:
            updates = self.exchange.handler.parse(frame)
            mine = [update for update in updates if update.native_symbol == native]
            if not mine:
                found = ", ".join(sorted({update.native_symbol for update in updates})) or "nothing"
                raise FrameError("symbol", f"a frame for {native!r} holds {snippet(found)}")
            self._check_channel(key, mine[0].channel)
        except FrameError as error:
            return keeper.reject(error, stamp, link)
        actions: list[Action] = []
        for update in mine:
            keeper.counters.odd_times += update.odd_time
            if self.observe is not None:
                self.observe(key, update)
            actions += keeper.receive(update, link, stamp)
        return actions

    def _check_channel(self, key: str, name: str) -> None:
        """A book is made of one channel; frames of another would be changes of another book."""
        if name and name != (channel := self.channels.get(key, self.exchange.traits)).name:
            raise FrameError("channel", f"a frame of {name!r}, but the book is made of {channel.name!r}")

    def connection(self, frame: bytes, link: str, stamp: Stamp) -> tuple[bool, list[tuple[str, list[Action]]]]:
        """Looks at the connection's own number of a frame of any sort: (whether the frame is to be read, what its
        number means for the books). A jump concerns every book of the link; a number from the past is not read."""
        number = self.exchange.handler.link_seq(frame) if self._numbered else None
        if number is None:
            return True, []
        last = self._numbers.pop(link, None)
        if last is None and len(self._numbers) >= REMEMBERED_LINKS:
            del self._numbers[next(iter(self._numbers))]
        if last is None or number in (last, last + 1):
            self._numbers[link] = number
            return True, []
        self._numbers[link] = max(number, last)
        if number < last:
            found = [(key, keeper.connection_reversal(link, stamp)) for key, keeper in self.keepers.items()]
            return False, found
        missing = number - last - 1
        return True, [(key, keeper.connection_gap(link, missing, stamp)) for key, keeper in self.keepers.items()]

    def snapshot(self, key: str, native: str, body: bytes, limit: int, stamp: Stamp) -> list[Action]:
        """The body of a REST snapshot of `native`; `limit` levels a side were asked for."""
        keeper = self.keeper(key)
        try:
            update = self.exchange.handler.parse_snapshot(native, body)
        except FrameError as error:
            return keeper.refuse_snapshot(error)
        keeper.counters.odd_times += update.odd_time
        return keeper.snapshot(update, limit, stamp)

    def tick(self, stamp: Stamp) -> Iterator[tuple[str, list[Action]]]:
        """What time alone decides, for every book where it decides something."""
        for key, keeper in self.keepers.items():
            actions = keeper.tick(stamp)
            if actions:
                yield key, actions
