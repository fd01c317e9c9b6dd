"""One link's account of one symbol. It knows no other stream: its rules are those of one ordered connection.

    WAITING     no book, or none that is to be trusted; deltas are kept
    SYNCED      the book stands at `last`
    RECOVERING  ids are missing before the next delta: the book stands still at `last`, deltas are kept

1. a delta that builds on where the book stands is applied; one that leads no further is old;
2. one that builds on a later id leaves a gap: the book stands still, and others decide whether to wait, join or leap;
3. an id below what the link itself brought last is a reversal: no book, and nobody knows in which count of ids the
   link is now (it may be two frames that were swapped);
4. a delta from the last id to a lower one, or a snapshot below what the link brought, begins a new count that follows
   on the old one;
5. it is joined from any proven book at an id: a snapshot by REST or in the stream, or the book of a sibling;
6. it dies with its link, and all that was known of the link dies with it.

Without ids the order of the connection is all there is; a checksum, where the exchange sends one, must come out.
"""

from __future__ import annotations

from enum import Enum

from hoga.domain.books import Book, new_book
from hoga.domain.chain import Chain
from hoga.domain.checks import EventTimes
from hoga.domain.checksum import LevelTexts
from hoga.domain.errors import FrameError
from hoga.domain.rules import BookRules, Kind
from hoga.domain.types import State, Update

WENT_BACK = "an id went backwards"
REMEMBERED_STEPS = 64
"""Newest steps (from id to id) of which the levels are remembered as a digest, to be held against a sibling's."""
REMEMBERED_COUNTS = 3
AS_SENT = "the exchange itself sends it crossed (orders do not match)"


class Count:
    """One counting of ids by the exchange. Two streams count the same while they hold the same object."""

    __slots__ = ("before", "fresh")

    def __init__(self, before: Count | None = None, *, fresh: bool = True) -> None:
        """`before`: the count that this one followed on, where that was seen. `fresh`: nothing was seen yet that says
        it is another one than that of a sibling."""
        self.before = before
        self.fresh = fresh and before is None
        older, depth = before, 1
        while older is not None:
            depth += 1
            if depth >= REMEMBERED_COUNTS:
                older.before = None
            older = older.before

    def follows(self, other: Count) -> bool:
        """Whether this count came, directly or not, after the other one."""
        older = self.before
        while older is not None and older is not other:
            older = older.before
        return older is not None


class Stage(Enum):
    WAITING = "waiting"
    SYNCED = "synced"
    RECOVERING = "recovering"


class Took(Enum):
    """What became of an update."""

    OLD = "already known"
    HELD = "kept"
    APPLIED = "applied"
    TURNED = "applied, and a new count begins with it"
    GAP = "ids are missing before it"
    REVERSAL = "the ids went backwards"
    LEAPT = "applied, over ids that are missing before a new count"
    LOST = "ids are missing before a new count"
    CROSSED = "applied, and the book is crossed"
    BAD_SUM = "applied, and the checksum is another"


class Stream:
    __slots__ = (
        "anchor", "before", "book", "chain", "count", "crossed_as_sent", "digests", "doubted", "found_sum", "grade",
        "heard", "heard_ns", "keep", "kind", "last", "limit", "link", "missing", "moved_ns", "newest", "open",
        "opened_ns", "reason", "reversed", "settled", "stuck_ns", "texts", "times", "unanswered_ns", "wall_ns",
    )  # fmt: skip

    def __init__(self, link: str, rules: BookRules, kind: Kind, times: EventTimes) -> None:
        self.link = link
        self.kind = kind
        self.open = self.settled = False
        """Whether the link is known to carry the symbol; whether it has done so for a while."""
        self.grade = State.SYNCING
        """What the book is worth by what was received: LIVE, GAPPED, CROSSED or SYNCING."""
        self.reason = "waiting for the first snapshot"
        self.book: Book = new_book()
        self.last = 0
        """The id at which the book stands."""
        self.heard: int | None = None
        """The id that the link brought last."""
        self.count = Count()
        self.chain = Chain(rules.buffer_updates, rules.buffer_age_ns)
        self.keep = False
        """Whether deltas are kept while the book stands: a snapshot is on its way."""
        self.missing = 0
        self.limit = 0
        """Levels a side that the snapshot under the book was asked for; 0: all."""
        self.newest: Update | None = None
        self.times = times
        self.opened_ns = self.heard_ns = self.moved_ns = self.wall_ns = 0
        """When the link opened, when it brought something last, when the book last moved (monotonic, and wall)."""
        self.stuck_ns = 0
        """Since when ids are missing before the chain; 0 where none are."""
        self.unanswered_ns = 0
        """Since when it tells what the published stream does not know; 0 where it does not."""
        self.reversed = False
        """Ids went backwards without saying so: a book ahead of the chain may be of the count before, ..."""
        self.before = 0
        """... which had come to this id."""
        self.doubted = False
        """Nothing shows any more that it is what the exchange has, until it goes on."""
        self.crossed_as_sent = False
        """The book is crossed, and nothing was lost: the exchange itself says so (orders do not match)."""
        self.digests: dict[int, tuple[int, int]] = {}
        """Id -> (the id before, digest of the levels), of the newest steps; only while there is a sibling."""
        self.anchor = 0
        """The oldest step that has met no sibling's yet; it is not forgotten."""
        self.texts: LevelTexts | None = None
        """Only while the stream carries checksums."""
        self.found_sum = 0

    @property
    def stage(self) -> Stage:
        if self.stuck_ns:
            return Stage.RECOVERING
        return Stage.WAITING if self.grade is State.SYNCING else Stage.SYNCED

    @property
    def sound(self) -> bool:
        """Whether the book is LIVE by itself and goes on."""
        return self.grade is State.LIVE and not self.stuck_ns

    # --- what the link brings

    def take(self, update: Update, mono_ns: int) -> Took:
        """A delta with ids. FrameError leaves the book as it was."""
        prev, seq, heard = update.prev_seq, update.seq, self.heard
        self.heard, self.heard_ns = seq, mono_ns
        if seq == heard:
            return Took.OLD
        if heard is not None and prev < heard and (seq < heard or not self.kind.overlaps):
            self.lose(WENT_BACK)
            self.reversed, self.before = True, heard
            return Took.REVERSAL
        if seq < prev:
            return self._turn(update, mono_ns)
        if self.grade is State.SYNCING or self.stuck_ns:
            if self.stuck_ns and prev > self.chain.ends:
                return Took.GAP
            self.chain.add(update, mono_ns)
            return Took.HELD
        if seq <= self.last:
            return Took.OLD
        if prev > self.last:
            self.stuck_ns = mono_ns
            self.chain.clear()
            self.chain.add(update, mono_ns)
            return Took.GAP
        if self.keep:
            self.chain.add(update, mono_ns)
        return self.apply(update, mono_ns)

    def _turn(self, update: Update, mono_ns: int) -> Took:
        """A delta that leads over into a new count, and says so."""
        self._begin_count()
        self.chain.clear()
        if self.grade is State.SYNCING:
            return Took.HELD
        if self.stuck_ns or update.prev_seq < self.last:
            self.lose("ids are missing before a new count")
            return Took.LOST
        missing = update.prev_seq - self.last
        if missing:
            self.missing += missing
            self.flaw(State.GAPPED, f"{self.missing} ids are missing")
        took = self.apply(update, mono_ns)
        if took is not Took.APPLIED:
            return took
        return Took.LEAPT if missing else Took.TURNED

    def apply(self, update: Update, mono_ns: int) -> Took:
        """A delta whose turn it is. FrameError leaves the book as it was."""
        book = self.book
        book.apply(update.bids, update.asks)
        if self.kind.truncates:
            book.truncate(self.kind.kept)
        self.newest, self.moved_ns = update, mono_ns
        self.doubted = False
        if update.seq >= 0:
            self.last = update.seq
        if self.texts is not None:
            self.texts.apply(update.bids, update.asks)
        if not self._sums_up(update):
            return Took.BAD_SUM
        if book.crossed:
            return Took.CROSSED
        if self.crossed_as_sent:
            self.crossed_as_sent = False
            self.grade, self.reason = State.LIVE, ""
        return Took.APPLIED

    def start(self, update: Update, mono_ns: int, wall_ns: int) -> Took:
        """A snapshot over the link itself is its book from here on. FrameError leaves the book as it was."""
        book = new_book()
        book.replace(update.bids, update.asks)
        if self.kind.truncates:
            book.truncate(self.kind.kept)
        if self.heard is not None and 0 <= update.seq < self.heard:
            self._begin_count()
        if update.seq >= 0:
            self.heard = update.seq
        self.heard_ns = mono_ns
        book.orphan_deletes = self.book.orphan_deletes
        self.install(book, max(update.seq, 0), update, mono_ns, wall_ns)
        self.texts = None
        if self.kind.checksum is not None and (update.checksum is not None or not self.kind.ordered):
            self.texts = LevelTexts(book)
            self.texts.apply(update.bids, update.asks)
        return Took.APPLIED if self._sums_up(update) else Took.BAD_SUM

    def _sums_up(self, update: Update) -> bool:
        rule = self.kind.checksum
        if rule is None or self.texts is None or update.checksum is None:
            return True
        if self.grade is not State.LIVE and not self.crossed_as_sent:
            return True
        self.found_sum = self.texts.sum(rule)
        return self.found_sum == update.checksum

    # --- where its book comes from

    def joined(
        self, book: Book, seq: int, *, gapped: bool = False, crossed: bool = False
    ) -> tuple[int, int, Update | None]:
        """Brings a proven book at `seq` to where the chain ends: (id, deltas applied, the last of them). A `gapped` one
        is repaired where it crosses; it may be `crossed` while orders do not match."""
        deltas = self.chain.after(seq)
        for delta in deltas:
            book.apply(delta.bids, delta.asks)
            if gapped and book.crossed:
                book.remove_contradicted(delta.bids, delta.asks)
            if book.crossed and not crossed:
                raise FrameError("crossed", f"{crossing(book)} when it is joined to what followed")
        return (deltas[-1].seq, len(deltas), deltas[-1]) if deltas else (seq, 0, None)

    def inherit(self, source: Stream, mono_ns: int, wall_ns: int) -> int:
        """Takes a copy of a sibling's book, grade and count, and brings it to where the own chain ends; how many deltas
        that took. FrameError leaves the stream as it was."""
        flawed = source.grade is State.GAPPED
        book = source.book.copy()
        seq, applied, last = self.joined(book, source.last, gapped=flawed, crossed=source.crossed_as_sent)
        kept = self.chain.copy()
        self.count = source.count
        if last is None:
            self.install(book, seq, source.newest, source.moved_ns, source.wall_ns)
        else:
            self.install(book, seq, last, mono_ns, wall_ns)
        self.limit = source.limit
        self.missing = source.missing
        if not self.crossed_as_sent:
            self.grade, self.reason = source.grade, source.reason
        self.doubted = 0 < self.heard_ns < self.opened_ns  # what came before the link was open proves nothing
        if flawed:
            self.chain.extend(kept)  # a snapshot is still to come
        return applied

    def settle(self, book: Book, seq: int, newest: Update, limit: int, mono_ns: int, wall_ns: int) -> None:
        """Takes a joined book; one that lies behind where it stood is of a new count."""
        book.orphan_deletes += self.book.orphan_deletes
        self.limit = limit
        if seq < self.last:
            self._begin_count()
        self.install(book, seq, newest, mono_ns, wall_ns)

    def install(self, book: Book, seq: int, newest: Update | None, mono_ns: int, wall_ns: int) -> None:
        self.book, self.last, self.grade, self.reason = book, seq, State.LIVE, ""
        self.missing = self.stuck_ns = 0
        self.reversed = self.crossed_as_sent = self.doubted = False
        self.newest, self.moved_ns, self.wall_ns = newest, mono_ns, wall_ns
        self.chain.clear()
        if book.crossed:
            self.take_as_sent()

    def take_as_sent(self) -> None:
        """The book is crossed, and right: so the exchange sends it."""
        self.crossed_as_sent = True
        self.grade, self.reason = State.CROSSED, f"{crossing(self.book)}: {AS_SENT}"

    def leap(self, source: Stream) -> int:
        """Goes on over the ids that are missing, from its own book or that of `source`; how many there are."""
        if source is not self:
            self.book, self.last, self.limit = source.book.copy(), source.last, source.limit
            self.count, self.missing, self.newest = source.count, source.missing, source.newest
        missing = self.chain.begins - self.last
        self.missing += missing
        self.grade, self.reason = State.GAPPED, f"{self.missing} ids are missing"
        self.stuck_ns = 0
        return missing

    def lose(self, reason: str) -> None:
        """The book is not to be trusted any more; it is only shown."""
        self.grade, self.reason = State.SYNCING, reason
        self.stuck_ns = 0
        self.crossed_as_sent = False
        self.chain.clear()
        if reason == WENT_BACK:
            self.count = Count(fresh=False)
            self.digests.clear()

    def flaw(self, grade: State, reason: str) -> None:
        """The book goes on, but is not LIVE; one that is crossed is worse than one that lacks ids."""
        if self.grade is not State.CROSSED:
            self.grade, self.reason = grade, reason

    # --- what a sibling is compared by

    def remember_lately(self) -> None:
        """From now on there is a sibling to be compared with."""
        known = [update for _, update in self.chain.items]
        if not known and self.newest is not None and not self.newest.snapshot:
            known = [self.newest]
        for update in known[-REMEMBERED_STEPS:]:
            if update.seq not in self.digests:
                self.remember(update.seq, update.prev_seq, digest(update))

    def remember(self, seq: int, prev: int, value: int) -> None:
        digests = self.digests
        digests[seq] = (prev, value)
        if len(digests) > REMEMBERED_STEPS:
            oldest = next(iter(digests))
            if oldest == self.anchor:
                digests[oldest] = digests.pop(oldest)
                oldest = next(iter(digests))
            del digests[oldest]
        if self.anchor not in digests:
            self.anchor = seq

    def _begin_count(self) -> None:
        self.count = Count(self.count)
        self.digests.clear()


def digest(update: Update) -> int:
    """What two streams compare of the levels of one step."""
    return hash((tuple(update.bids), tuple(update.asks)))


def crossing(book: Book) -> str:
    """How a crossed book is crossed, for people."""
    ((bid, _),), ((ask, _),) = book.texts(1)
    return f"best bid {bid} is not below best ask {ask}"
