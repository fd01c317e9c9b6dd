"""What is told of one link among its frames: which symbols it carries from when to when.

1. An event is published where the frames are, at the moment at which it is true: OPENED before the first frame of a
   symbol, CLOSED after the last.
2. Events are numbered from 1, also those that the bus does not take: the beat (`state`) names the newest number, and
   whoever has not heard it learns from the beat what holds.
3. A symbol of which a frame was thrown away is CLOSED at once; the next `update` opens it again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from hoga.wire import pb, subjects
from services.ingest.lane import Publish

MAX_SYMBOLS = 500
"""In one event."""
THROWN_AWAY = "ingest threw frames away: the bus did not take them"


class LinkEvents:
    def __init__(self, exchange: str, slot: str, link: str, publish: Publish) -> None:
        self._exchange = exchange
        self._slot = slot
        self._link = link
        self._publish = publish
        self._subject = subjects.raw_link(exchange)
        self._number = 0
        self._open: dict[str, bool] = {}
        """Symbol -> whether it is SETTLED."""

    @property
    def open(self) -> Collection[str]:
        """The symbols that the link carries, as told."""
        return self._open.keys()

    def update(self, carried: Mapping[str, bool], why_not: Callable[[str], str]) -> None:
        """Tells what has changed. `carried`: symbol -> whether it has settled; `why_not(symbol)`: of all others."""
        gone: defaultdict[str, list[str]] = defaultdict(list)
        for symbol in self._open:
            if symbol not in carried:
                gone[why_not(symbol)].append(symbol)
        for reason, symbols in gone.items():
            self._close(symbols, reason)
        new = [symbol for symbol in carried if symbol not in self._open]
        self._tell(pb.LinkEvent.KIND_OPENED, new)
        self._open.update(dict.fromkeys(new, False))
        settled = [symbol for symbol, is_settled in carried.items() if is_settled and not self._open[symbol]]
        self._tell(pb.LinkEvent.KIND_SETTLED, settled)
        self._open.update(dict.fromkeys(settled, True))

    def lost(self, symbol: str = "") -> None:
        """A frame of a symbol was thrown away; without one, it may have been of any."""
        self._close([one for one in ([symbol] if symbol else self._open) if one in self._open], THROWN_AWAY)

    def missed(self) -> None:
        """What was published may be lost: it counts as an event that nobody heard."""
        self._number += 1

    def close(self, reason: str, *, planned: bool) -> None:
        """The link has ended."""
        self._close(list(self._open), reason, planned=planned)

    def state(self, symbols: Iterable[str]) -> pb.LinkBeat.Link:
        """What holds now; `symbols` are those of the slot."""
        return pb.LinkBeat.Link(
            link=self._link,
            events=self._number,
            without=[symbol for symbol in symbols if symbol not in self._open],
            unsettled=[symbol for symbol, settled in self._open.items() if not settled],
        )

    def _close(self, symbols: list[str], reason: str, *, planned: bool = False) -> None:
        for symbol in symbols:
            del self._open[symbol]
        self._tell(pb.LinkEvent.KIND_CLOSED, symbols, reason=reason, planned=planned)

    def _tell(self, kind: pb.LinkEvent.Kind, symbols: list[str], *, reason: str = "", planned: bool = False) -> None:
        for start in range(0, len(symbols), MAX_SYMBOLS):
            batch = symbols[start : start + MAX_SYMBOLS]
            self._number += 1
            frame = pb.RawFrame(
                exchange=self._exchange,
                link=self._link,
                link_seq=self._number,
                receive_time_ns=time.time_ns(),
                kind=pb.RawFrame.KIND_LINK_EVENT,
                link_event=pb.LinkEvent(kind=kind, slot=self._slot, symbols=batch, reason=reason, planned=planned),
            )
            self._publish(self._subject, frame.SerializeToString())
