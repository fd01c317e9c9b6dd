"""The verdicts on a world: everything published, against everything the exchanges sent.

W   a LIVE book that differs from the truth at its own id, or at its time where ids are not the market's
S   a LIVE book that lacks a frame which was sent untampered (or as plain nonsense) longer than the budget ago
O   revisions that do not rise within an epoch, epochs that fall
R   a book at an id below the one before it, and nothing between the two that announces it
N   frames lost on the bus without an event
G   a GAP event although everything between its ids had been delivered
M   a LIVE book of a market whose orders do not match, when its exchange's word for that has had its time to come
Q   requests for a book that is known to be one of a market whose orders do not match
A   an audit or a second line that contradicts a book of which nothing was ever tampered with, at the same id

Levels are compared as whole numbers brought to one scale, by code of its own. Silence is the exception to the budget:
a link on which nothing arrives is dead after the exchange's idle timeout, and not before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hoga.domain.phases import Phase
from hoga.exchanges.base import Continuity
from hoga.exchanges.registry import EXCHANGES
from hoga.wire import pb
from services.simulator.faults import Package
from tests.sim.exchanges import SimExchanges
from tests.sim.loop import SimLoop
from tests.sim.truth import Life
from tests.sim.watched import Watched
from tests.support.published import Published

LIVE = pb.BookState.BOOK_STATE_LIVE
BUDGET_S = 5.0
GRACE_S = 5.0
DOUBT_S = 2.0
"""Two lines that disagree have been compared by then."""
RENAMED_S = 150.0
"""The lists of exchanges are read once a minute, and again when that fails."""
MEMORY_S = 30.0
"""A fault is no longer called the cause of what happens so long after it."""
STATE_NAMES = {number: name.removeprefix("BOOK_STATE_") for name, number in pb.BookState.items()}

Key = tuple[str, str]
"""(exchange, native symbol)."""


LISTED_S = 75.0
"""What a list says of a phase is known by then; it is read once a minute."""
SEEN_S = 25.0
"""The same where the book crosses, for which the list is asked for."""
ASKED = 3
"""Requests that may still be on their way when a phase becomes known."""
ASKED_AGAIN_S = 20.0
"""One more in so long is none too many: the range that is known may be, or frames of the bus were lost."""
UNSAID_S = 1.0
"""An event about what was lost comes within this."""
NEAR_NS = 1_000_000_000
"""A gap so soon after frames were lost on the bus is that loss."""


class Shown:
    """The newest message of a book."""

    __slots__ = ("arrived", "book", "ids", "index", "life", "live", "order")

    def __init__(self) -> None:
        self.book = pb.OrderBook()
        self.order = (0, 0)
        self.ids = Published()
        self.arrived = 0.0
        self.live = False
        """It says so, and its publisher was not known to be gone since."""
        self.life: Life | None = None
        self.index = -1


class Oracle:
    def __init__(
        self,
        loop: SimLoop,
        exchanges: SimExchanges,
        symbols: Mapping[str, Mapping[str, str]],
        depth: int,
        policy: str,
        fail: Callable[[str], None],
    ) -> None:
        """`symbols`: exchange -> native -> canonical. `policy` on gaps. `fail` takes every violation."""
        self.policy = policy
        self._loop, self._exchanges, self._depth, self._fail = loop, exchanges, depth, fail
        self._natives = {(code, symbol): native for code, found in symbols.items() for native, symbol in found.items()}
        self.lives: dict[Key, list[Life]] = defaultdict(list)
        self.shown: dict[Key, Shown] = {}
        self.checked = Counter[str]()
        self.states = Counter[str]()
        self.events = Counter[str]()
        self.detections: dict[str, list[float]] = defaultdict(list)
        """Fault -> seconds until a message said that a book was not LIVE."""
        self.recoveries: dict[str, list[float]] = defaultdict(list)
        """Fault -> seconds that a book was not LIVE after it."""
        self.deep_wrong = 0
        """LIVE books with an error below the levels that their exchange lets us prove."""
        self.blind_until = 0.0
        """While the validator or the bus is away no message can say so."""
        self.silent_until: dict[str, float] = defaultdict(float)
        """Exchange -> until when a link may be silent without anybody knowing."""
        self.confused_until = 0.0
        """Where frames have nothing but times: until when those after a clock set back look late."""
        self.delayed_until: dict[Key, float] = defaultdict(float)
        """Market -> until when its frames are held back; what strikes when they leave cannot be told apart."""
        self.natives: dict[Key, str] = {}
        """Book -> the native id it has by now, where that is another one than at the start."""
        self._firsts: dict[Key, str] = {}
        self._renamed_until: dict[Key, float] = defaultdict(float)
        """Book -> until when nobody need have looked at the exchange's list since it was renamed."""
        self.watched: dict[str, Watched] = {}
        self._doubtful_until: dict[Key, float] = defaultdict(float)
        """Book -> until when nobody need know which of two lines is right."""
        self.lost_frames = 0
        """Frames that were tampered with, delayed ones not counted."""
        self.forgotten = False
        """The bus knew nothing of the validator before: epochs may fall where the clock was set back."""
        self._payloads: dict[bytes, tuple[Life, int]] = {}
        self._heard: dict[tuple[Life, int], int] = {}
        self._link_seqs: dict[tuple[str, str], dict[tuple[str, str], int]] = defaultdict(dict)
        """Market -> (link, native id) -> number of the newest frame that the validator took."""
        self._unsaid: dict[tuple[str, str], float] = {}
        """Market -> since when a loss on the bus is to be announced."""
        self._bus_loss_ns: dict[tuple[str, str], int] = {}
        """Frame -> when the running validator took it from the bus, as a number that rises."""
        self._phased: dict[Key, float] = {}
        """Market -> when its present phase began."""
        self._asked: dict[Key, tuple[int, float]] = {}
        """Book -> requests for it since its phase was published, and when that was."""
        self.alone = False
        """Whether what happens now can be put down to one fault: times are taken only then."""
        self._causes: dict[str, tuple[float, str]] = {}
        self._last = "none"
        self._outages: dict[Key, tuple[float, str]] = {}
        self._accused: set[tuple[Any, ...]] = set()
        self.by_ids = {
            code: EXCHANGES[code].traits.continuity in (Continuity.LINKED_IDS, Continuity.CONSECUTIVE_IDS)
            for code in exchanges.venues
        }
        self.by_time = {code: not found.traits.verified for code, found in EXCHANGES.items()}
        for code, venue in exchanges.venues.items():
            venue.faults = self.watched[code] = Watched(partial(self.tampered, code), partial(self._lied, code))
            if self.by_ids[code]:
                setattr(venue, "deliver", self._delivering(code, venue.deliver))  # noqa: B010 - as below
            for native in venue.natives():
                self.follow(code, native)

    # --- what the exchanges do

    def follow(self, code: str, native: str) -> None:
        """A market was listed."""
        market = self._exchanges.market.exchanges[code].symbols[native]
        lives = self.lives[self.key(code, native)]
        lives.append(Life(market, self._depth, self._loop.now))
        emit, idle, begin_life = market.emit, market.idle, market.begin_life

        def emitted() -> Any:
            change = emit()
            if change is not None:
                lives[-1].sent(self._loop.now)
                confused = self.by_time[code] and self._loop.now < self.confused_until
                lives[-1].frames[-1].intact = not confused and self._loop.now >= self.delayed_until[code, native]
            return change

        def idled() -> Any:
            change = idle()
            lives[-1].sent(self._loop.now)
            lives[-1].frames[-1].intact = False
            lives[-1].frames[-1].crossed = True
            return change

        def began() -> None:
            begin_life()
            lives.append(Life(market, self._depth, self._loop.now))
            lives[-1].frames[0].intact = False  # not every exchange says so

        for name, hook in (("emit", emitted), ("idle", idled), ("begin_life", began)):
            setattr(market, name, hook)

    def key(self, code: str, native: str) -> Key:
        """The book of a market: by the native id that its symbol had at the start."""
        return code, self._firsts.get((code, native), native)

    def rename(self, code: str, native: str, other: str) -> None:
        """The symbol of a market is another market now."""
        key = self.key(code, native)
        self._firsts[code, other] = key[1]
        self.natives[key] = other
        self._renamed_until[key] = self._loop.now + RENAMED_S
        self.follow(code, other)

    def _delivering(self, code: str, deliver: Callable[[str, Package], None]) -> Callable[[str, Package], None]:
        def delivering(native: str, package: Package) -> None:
            life = self.lives[self.key(code, native)][-1]
            for _, payload in package:
                self._payloads[payload] = (life, len(life.frames) - 1)
            deliver(native, package)

        return delivering

    def tampered(self, code: str, native: str, *, plain: bool = False) -> None:
        """`plain`: it is nonsense that still says of which market it is. Where frames are whole books nothing else
        tells that the book before it has passed."""
        frame = self.lives[self.key(code, native)][-1].frames[-1]
        frame.plain = plain and frame.intact and self.by_time[code]
        frame.intact = False
        self.lost_frames += 1

    def _lied(self, code: str, native: str) -> None:
        self._doubtful_until[self.key(code, native)] = self._loop.now + DOUBT_S

    # --- what the validator hears

    def reborn(self) -> None:
        """A validator starts and has heard nothing."""
        self._heard.clear()
        self._link_seqs.clear()

    def heard(self, subject: str, payload: bytes) -> None:
        """A message that the validator is about to take."""
        kind, code = subject.split(".", 4)[2:4]
        if kind != "raw":
            return
        frame = pb.RawFrame.FromString(payload)
        if frame.symbol and frame.kind == pb.RawFrame.KIND_STREAM:
            self._number(frame)
        if self.by_ids.get(code):
            found = self._payloads.get(frame.payload)
            if found is not None:
                self._heard.setdefault(found, len(self._heard))

    def _number(self, frame: pb.RawFrame) -> None:
        """A hole in the numbers that ingest gives its frames has to be announced at once."""
        links = self._link_seqs[frame.exchange, frame.symbol]
        if frame.link_seq > links.get((frame.link, frame.native_symbol), frame.link_seq) + 1:
            self._unsaid.setdefault((frame.exchange, frame.symbol), self._loop.now)
        links[frame.link, frame.native_symbol] = max(links.get((frame.link, frame.native_symbol), 0), frame.link_seq)

    # --- what struck

    def caused(self, kind: str, where: str = "*") -> None:
        """`where` is "*", an exchange, or "exchange native"."""
        self._causes[where] = (self._loop.now, kind)
        self._last = kind

    def phased(self, code: str, native: str) -> None:
        """Another phase of a market begins."""
        self._phased[self.key(code, native)] = self._loop.now

    def asked(self, subject: str, payload: bytes) -> None:
        """A request to ingest. In a phase without matching nothing is wrong with a book that a fresh one could mend."""
        method, code = subject.split(".")[3:5]
        if method not in ("snapshot", "resubscribe") or not self.alone:
            return
        symbol = (pb.SnapshotRequest if method == "snapshot" else pb.ResubscribeRequest).FromString(payload).symbol
        key = (code, self._natives.get((code, symbol), ""))
        if key in self._asked:
            count, since = self._asked[key]
            self._asked[key] = count + 1, since
            if count == ASKED + int((self._loop.now - since) / ASKED_AGAIN_S):
                self._asked[key] = -(1 << 30), since  # said once
                self._fail(f"Q {code} {symbol}: asked for again and again though its orders do not match")

    def blackout(self, kind: str) -> None:
        """The validator or the bus is gone: no message says so, and what was LIVE counts no more."""
        self.caused(kind)
        self._unsaid.clear()
        for key, shown in self.shown.items():
            shown.live = False
            self._outages.setdefault(key, (self._loop.now, kind if self.alone else ""))
        self.blind_until = self._loop.now + GRACE_S

    # --- what is published

    def book(self, payload: bytes) -> str:
        """Takes a published book; a line for the trace."""
        book = pb.OrderBook.FromString(payload)
        key, now = (book.exchange, self._natives[book.exchange, book.symbol]), self._loop.now
        state = STATE_NAMES[book.state]
        self.states[state] += 1
        shown = self.shown.get(key)
        if shown is None:
            shown = self.shown[key] = Shown()
        line = f"{book.exchange} {book.symbol} {state} seq {book.sequence} rev {book.revision}"
        order = (book.epoch, book.revision)
        if self.forgotten:
            for other in self.shown.values():
                if other.order[0] > book.epoch:
                    other.order = (0, 0)
        if order <= shown.order:
            self._fail(f"O {line}: {order} after {shown.order}")
        shown.order, shown.book, shown.arrived = order, book, now
        back = self.by_ids[key[0]] and shown.ids.book(book)
        if back:
            self._fail(f"R {line}: {back}")
        if book.state == pb.BookState.BOOK_STATE_SYNCING and not book.sequence:  # begun anew: nothing of before counts
            self._unsaid.pop((book.exchange, book.symbol), None)
            self._link_seqs.pop((book.exchange, book.symbol), None)
        shown.live = book.state == LIVE
        if Phase(book.phase).matches:
            self._asked.pop(key, None)
        else:
            self._asked.setdefault(key, (0, now))
        if book.state == pb.BookState.BOOK_STATE_HALTED:
            self._link_seqs.pop((book.exchange, book.symbol), None)  # it may be forgotten with its numbers
        if not shown.live:
            if key not in self._outages:
                since, kind = self._cause(key)
                self._outages[key] = (now, kind)
                if kind:
                    self.detections[kind].append(now - since)
            return line
        if key in self._outages:
            began, kind = self._outages.pop(key)
            if kind:
                self.recoveries[kind].append(now - began)
        self._compare(shown, key, line)
        return line

    def event(self, payload: bytes) -> str:
        event = pb.BookEvent.FromString(payload)
        kind = pb.BookEvent.Kind.Name(event.kind).removeprefix("KIND_")
        self.events[kind] += 1
        if (shown := self.shown.get(self._key_of(event))) is not None:
            shown.ids.event(event)
        market = (event.exchange, event.symbol)
        if event.kind == pb.BookEvent.KIND_BUS_LOSS:
            self._bus_loss_ns[market] = event.time_ns
            self._unsaid.pop(market, None)
        lost = (
            event.time_ns - self._bus_loss_ns.get(market, -NEAR_NS) < NEAR_NS
        )  # that gap was announced with its cause
        if event.kind == pb.BookEvent.KIND_GAP and self.by_ids[event.exchange] and not lost:
            self._judge_gap(event)
        if event.kind in (pb.BookEvent.KIND_AUDIT_MISMATCH, pb.BookEvent.KIND_DISAGREEMENT):
            self._judge_doubt(event)
        return f"{event.exchange} {event.symbol} {kind} {event.expected} {event.found} {event.count}"

    def _judge_doubt(self, event: pb.BookEvent) -> None:
        """A book that is called into doubt. Rightly so where lines were made to differ, or two lives of a market have
        the same ids; or where no ids say that both stand at the same moment, for a frame may have been lost. An audit
        may also be what finds a link that has fallen silent, before its idle timeout does."""
        key = self._key_of(event)
        if event.kind == pb.BookEvent.KIND_AUDIT_MISMATCH and self._loop.now < self.silent_until[key[0]]:
            return
        lives = self.lives[key]
        meant = len(lives) > 1 or not self.by_ids[key[0]] or self._doubtful_until.get(key)
        if not meant and all(frame.intact for frame in lives[0].frames[1:]):
            self._fail(f"A {event.exchange} {event.symbol}: {event.detail}")

    def _key_of(self, event: pb.BookEvent) -> Key:
        return event.exchange, self._natives[event.exchange, event.symbol]

    def _judge_gap(self, event: pb.BookEvent) -> None:
        """A gap is false where every frame between its ids was sound and heard before the one that betrayed it."""
        key = self._key_of(event)
        newest, false = -1, False
        for life in self.lives[key]:
            missing, betrayer = life.between(event.expected, event.found)
            after = self._heard.get((life, betrayer), -1)
            if after <= newest:
                continue  # ids of an earlier life
            newest = after
            heard = [self._heard.get((life, index), after) for index in missing]
            sound = all(life.frames[index].intact for index in missing)
            false = bool(missing) and sound and all(number < after for number in heard)
        if false:
            self._fail(f"G {event.exchange} {event.symbol}: {event.detail}")

    def _cause(self, key: Key) -> tuple[float, str]:
        """The last fault that touched a book, and when; an empty name where it is long ago."""
        wheres = ("*", key[0], f"{key[0]} {key[1]}")
        since, kind = max((self._causes[where] for where in wheres if where in self._causes), default=(0.0, ""))
        return (since, kind) if self.alone and self._loop.now - since < MEMORY_S else (since, "")

    def _compare(self, shown: Shown, key: Key, line: str) -> None:
        self.checked[key[0]] += 1
        book = shown.book
        problem = "no such market"
        for life in reversed(self.lives[key]):
            if life.market.listing.native != book.native_symbol:
                continue
            index, problem, deep = life.judge(book, by_id=self.by_ids[key[0]])
            if not problem:
                shown.life, shown.index = life, index
                frame = life.frames[index]
                if frame.bids and frame.asks and frame.bids[0][0] >= frame.asks[0][0]:
                    self._fail(f"W {line}: a crossed book")
                if deep:
                    self._deep(life, f"{line}: {deep}")
                return
        if self._loop.now < self._doubtful_until[key]:
            return
        shown.life = None
        self._fail(f"W {line}: {problem}")

    def _deep(self, life: Life, line: str) -> None:
        """Below the proven levels a book may be wrong, where a frame of it was tampered with; it is counted apart."""
        self.deep_wrong += 1
        if not life.tampered:
            self._fail(f"D {line}")

    # --- what may not be LIVE any more

    def listed(self) -> list[Key]:
        return [
            self.key(code, native)
            for code, market in self._exchanges.market.exchanges.items()
            for native in market.symbols
        ]

    def missing(self, wanted: set[Key]) -> dict[Key, str]:
        """Listed and wanted markets without a LIVE and current book, with what is known of them. Where gaps are to be
        ignored a book may be GAPPED for good, as long as it goes on."""
        now, found = self._loop.now, {}
        for key in self.listed():
            if key not in wanted:
                continue
            shown = self.shown.get(key)
            if shown is None:
                found[key] = "nothing was ever published"
            elif not shown.live and not self._goes_on(key, shown):
                found[key] = f"{STATE_NAMES[shown.book.state]}: {shown.book.reason}"
            elif now - shown.arrived > 7 or (shown.live and self._lag(key, shown) > BUDGET_S):
                found[key] = f"said {now - shown.arrived:.1f} s ago, lacks {self._lag(key, shown):.1f} s"
        return found

    def inspect(self) -> None:
        """Looks for LIVE books that lag, and for losses that were not announced; call it a few times a second."""
        now = self._loop.now
        if now < self.blind_until:
            self._unsaid.clear()
            return
        for market, since in list(self._unsaid.items()):
            if now - since > UNSAID_S:
                del self._unsaid[market]
                self._fail(f"N {market[0]} {market[1]}: frames were lost on the bus, and nobody says so")
        for key, shown in self.shown.items():
            if not shown.live:
                continue
            self._judge_phase(key, shown)
            lag_s = self._lag(key, shown)
            if lag_s <= BUDGET_S or now < self.silent_until[key[0]] or self._unaware(key, shown):
                continue
            accusation = (key, shown.book.epoch, shown.index)
            if accusation not in self._accused:
                self._accused.add(accusation)
                said_s = now - shown.arrived
                self._fail(
                    f"S {key[0]} {key[1]} LIVE but lacks what was sent {lag_s:.1f} s ago; seq {shown.book.sequence} "
                    f"rev {shown.book.revision}, said {said_s:.1f} s ago, last fault {self._last}"
                )

    def _judge_phase(self, key: Key, shown: Shown) -> None:
        """Only while nothing else is wrong that could keep a list away."""
        market = self._exchanges.market.exchanges[key[0]]
        native = shown.book.native_symbol
        if not self.alone or key not in self._phased or native not in market.symbols:
            return
        phase = market.phase(native)
        patience_s = SEEN_S if phase is Phase.AUCTION else LISTED_S
        if phase.matches:
            del self._phased[key]
        elif self._loop.now - self._phased[key] > patience_s:
            del self._phased[key]
            self._fail(f"M {key[0]} {native} LIVE, {patience_s:g} s after it was {phase.name}")

    def _goes_on(self, key: Key, shown: Shown) -> bool:
        """Whether a GAPPED book that is never to heal has what was sent untampered longer than the budget ago."""
        if self.policy != "ignore" or shown.book.state != pb.BookState.BOOK_STATE_GAPPED:
            return False
        frames = self.lives[key][-1].frames
        for frame, before in zip(reversed(frames), reversed(frames[:-1]), strict=False):
            if frame.intact and self._loop.now - frame.sent > BUDGET_S and not frame.same_as(before):
                book = shown.book
                reached, wanted = (
                    (book.sequence, frame.seq)
                    if self.by_ids[key[0]]
                    else (book.exchange_time_ns // 1_000_000, frame.time_ms)
                )
                return reached >= wanted
        return True

    def _unaware(self, key: Key, shown: Shown) -> bool:
        """Whether the book is still that of a market which has left under its id, and nobody can know yet."""
        native = self.lives[key][-1].market.listing.native
        return shown.book.native_symbol != native and self._loop.now < self._renamed_until[key]

    def _lag(self, key: Key, shown: Shown) -> float:
        """How long ago the first untampered frame was sent that the book lacks and that changed what it shows."""
        life = self.lives[key][-1]
        index = shown.index if shown.life is life else -1
        frames = life.frames
        known = shown.life.frames[shown.index] if shown.life is not None else None
        for place in range(index + 1, len(frames)):
            frame = frames[place]
            if (frame.intact or frame.plain) and (known is None or not frame.same_as(known)):
                return self._loop.now - frame.sent
        return 0.0
