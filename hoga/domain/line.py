"""The keeper for exchanges whose deltas can only be ordered within one connection: a book for each link.

Coinbase numbers the frames of a connection, Kraken numbers nothing and sends a checksum; in both, deltas of two links
cannot be put in order against each other. So every link has a book of its own, begun by the snapshot in its stream:

1. a delta before the link's snapshot is dropped; a snapshot replaces the link's book;
2. after each update the book is cut to the depth that the exchange keeps, where the exchange leaves that to us, and
   its checksum, where there is one, must be that of the book: a mismatch withholds the link's book until a fresh one;
3. frames missing on the connection (or on the way here) make the link's book GAPPED, by the gap policy, and a fresh
   subscription of the symbol on that link heals it;
4. what is published is the book of one link, the elected one; when another link's is better, that one is elected:
   losing one of two links is not even seen;
5. a book counts as current only while its link is live and has brought something since the last break; where no other
   link is ready when the elected one goes, it has a moment to become so.
"""

from __future__ import annotations

from hoga.domain.actions import Action, FactKind, Note
from hoga.domain.asking import LOW, NORMAL, URGENT, Asking
from hoga.domain.book import Book
from hoga.domain.checksum import Checksum, LevelTexts
from hoga.domain.errors import FrameError
from hoga.domain.in_band import BY_ITSELF_NS
from hoga.domain.keeper import Keeper, KeeperRules
from hoga.domain.sequencer import REMEMBERED_LINKS
from hoga.domain.steps import BEREFT_NS, FROZEN_NS
from hoga.domain.types import GapPolicy, Stamp, State, Update
from hoga.domain.whole import crossed_note


class LineBook:
    """The book of one link."""

    __slots__ = (
        "asking",
        "base",
        "book",
        "depth",
        "link",
        "missing",
        "moved_ns",
        "newest",
        "reason",
        "texts",
        "wall_ns",
    )

    def __init__(self, link: str, rules: KeeperRules) -> None:
        retry_ns = min(rules.retry_ns, BY_ITSELF_NS)
        self.link = link
        self.book = Book()
        self.texts: LevelTexts | None = None
        self.base = State.SYNCING
        self.reason = "waiting for the first snapshot"
        self.newest: Update | None = None
        self.wall_ns = 0
        self.moved_ns = 0
        """When its last delta came, monotonic."""
        self.missing = 0
        self.depth = 0
        self.asking = Asking(in_band=True, retry_ns=retry_ns, retry_limit_ns=rules.retry_limit_ns, link=link)


class LineKeeper(Keeper):
    def __init__(
        self, rules: KeeperRules, *, checksum: Checksum | None = None, depth: int = 0, numbered: bool = False
    ) -> None:
        """`depth`: levels a side that the client has to cut the book to; 0: none. `numbered`: the connection's own
        numbers tell of every loss."""
        super().__init__(rules, kept=depth)
        self._checksum = checksum
        self._depth = depth
        self._numbered = numbered
        self._lines: dict[str, LineBook] = {}
        self._elected: LineBook | None = None
        self._newest_ns = 0
        """When the last delta came over any link, monotonic."""
        self._prove_by_ns = 0
        """Until then the book of a link that went is shown as it was."""
        self._asking = Asking(
            in_band=True, retry_ns=min(rules.retry_ns, BY_ITSELF_NS), retry_limit_ns=rules.retry_limit_ns
        )
        """For a symbol of which no live link has brought anything yet."""

    def open(self, stamp: Stamp) -> list[Action]:
        return self._changed()

    def receive(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        self.counters.updates += 1
        line = self._line(link, stamp)
        note = self._times.check(update.exchange_time_ns, stamp.wall_ns, link)
        actions: list[Action] = [] if note is None else [note]
        self._hear(link)
        if update.snapshot:
            actions += self._replace(line, update, stamp)
        elif line.base is State.SYNCING:
            self.counters.stale += 1
            return actions
        else:
            actions += self._apply(line, update, stamp)
            self._newest_ns = stamp.mono_ns
        return actions + self._elect(line, update, stamp)

    def snapshot(self, update: Update, limit: int, stamp: Stamp) -> list[Action]:
        self.counters.snapshots += 1
        if self._audit.asked and self.state is State.LIVE:
            self._audit.answer(update, limit, stamp)
        return []

    def reject(self, error: FrameError, stamp: Stamp, link: str = "") -> list[Action]:
        actions: list[Action] = [self._rejected(error)]
        line = self._line(link, stamp)
        if line.base is not State.SYNCING:
            actions += self._break(line, State.GAPPED, f"a frame was rejected ({error.reason})", stamp)
        return actions + self._elect(line, None, stamp)

    def bus_loss(self, count: int, link: str, stamp: Stamp) -> list[Action]:
        note = super().bus_loss(count, link, stamp)
        line = self._lines.get(link)
        if self._numbered and (line is None or line.base is not State.LIVE):
            return note  # the numbers of the connection have told
        return note + self._lose(link, count, "were lost on the way here", stamp)

    def connection_gap(self, link: str, missing: int, stamp: Stamp) -> list[Action]:
        return self._lose(link, missing, "of the connection are missing", stamp)

    def connection_reversal(self, link: str, stamp: Stamp) -> list[Action]:
        line = self._lines.get(link)
        if line is None or line.base is State.SYNCING:
            return []
        self.counters.reversals += 1
        reason = "the numbers of the connection went backwards"
        note = Note(FactKind.REVERSAL, f"시퀀스 역전 감지: {reason}, 새 스냅샷 요청")
        return [note, *self._break(line, State.SYNCING, reason, stamp), *self._elect(line, None, stamp)]

    def tick(self, stamp: Stamp) -> list[Action]:
        actions = self._tick_audit(stamp)
        self._bury()
        if not self.uncovered_reason and not self.halt_reason:
            actions += self._ask(stamp)
        return actions + self._elect(None, None, stamp)

    def _ask(self, stamp: Stamp) -> list[Action]:
        """Snapshots for what is not proven: a quiet symbol proves nothing by itself."""
        actions: list[Action] = []
        live = [line for line in self._lines.values() if self._proves(line.link)]
        doubtful = bool(self.stale_reason) or not self._heard_live()
        for line in live:
            if doubtful and not line.asking.wanted:
                actions += line.asking.begin(LOW, stamp, wait_ns=BY_ITSELF_NS)
            actions += line.asking.tick(stamp)
        if live:
            self._asking.end()
        elif not self._asking.wanted:
            actions += self._asking.begin(URGENT, stamp, wait_ns=self._patience_ns)
        return actions + self._asking.tick(stamp)

    def link_up(self, stamp: Stamp) -> list[Action]:
        self._bury()
        return super().link_up(stamp) + self._elect(None, None, stamp)

    def link_moved(self, stamp: Stamp, *, planned: bool = True) -> list[Action]:
        self._bury()
        for link in [link for link in self._heard if not self._proves(link)]:
            self._heard.discard(link)  # should it come back, it has to show itself
        if self._elected is not None and not self._speaks(self._elected):
            due_ns = stamp.mono_ns + (FROZEN_NS if planned else BEREFT_NS)
            self._prove_by_ns = min(self._prove_by_ns or due_ns, due_ns)
        return self._elect(None, None, stamp)

    def _heard_live(self) -> bool:
        return self._elected is not None and self._speaks(self._elected)

    # --- one link's book

    def _replace(self, line: LineBook, update: Update, stamp: Stamp) -> list[Action]:
        book = Book()
        try:
            book.replace(update.bids, update.asks)
            line.depth = update.depth or self._depth
            if line.depth:
                book.truncate(line.depth)
            if book.crossed:
                raise FrameError("crossed", crossed_note(book, "the snapshot").detail)
        except FrameError as error:
            return [self._rejected(error), *self._break(line, State.SYNCING, str(error), stamp)]
        book.orphan_deletes = line.book.orphan_deletes
        if line is self._elected:
            self._audited(self._audit.stop())
        line.book, line.texts = book, None
        if self._checksum is not None:
            line.texts = LevelTexts(book)
            line.texts.apply(update.bids, update.asks)
        line.base, line.reason, line.missing = State.LIVE, "", 0
        line.newest, line.wall_ns = update, stamp.wall_ns
        line.moved_ns = self._newest_ns  # as far as any other
        line.asking.end()
        actions = self._check_sum(line, update, stamp)
        if line.base is not State.LIVE:
            return actions
        self.counters.applied += 1
        self.counters.resyncs += 1
        return [*actions, Note(FactKind.RESYNC_FINISHED, f"a snapshot over {line.link}", found=max(update.seq, 0))]

    def _apply(self, line: LineBook, update: Update, stamp: Stamp) -> list[Action]:
        try:
            line.book.apply(update.bids, update.asks)
        except FrameError as error:
            return self.reject(error, stamp, line.link)
        if line.depth:
            line.book.truncate(line.depth)
        if line.texts is not None:
            line.texts.apply(update.bids, update.asks)
        line.newest, line.wall_ns, line.moved_ns = update, stamp.wall_ns, stamp.mono_ns
        if line is self._elected:
            self._audit.touch(update.bids, update.asks)
        if line.base is State.LIVE:
            line.asking.end()
        self.counters.applied += 1
        if line.book.crossed:
            return self._uncross(line, update, stamp)
        return self._check_sum(line, update, stamp)

    def _uncross(self, line: LineBook, update: Update, stamp: Stamp) -> list[Action]:
        if line.base is State.GAPPED:
            removed = line.book.remove_contradicted(update.bids, update.asks)
            self.counters.repaired_levels += removed
            if not line.book.crossed:
                return [Note(FactKind.REPAIRED, f"{removed} older levels contradicted the update", count=removed)]
        if line.base is State.CROSSED:
            return []
        self.counters.crossed += 1
        note = crossed_note(line.book, "something was lost that nobody saw")
        return [note, *self._break(line, State.CROSSED, note.detail, stamp)]

    def _check_sum(self, line: LineBook, update: Update, stamp: Stamp) -> list[Action]:
        if self._checksum is None or line.texts is None or update.checksum is None or line.base is not State.LIVE:
            return []
        note = self._sum_up(self._checksum, line.texts, update.checksum)
        return [] if note is None else [note, *self._break(line, State.SYNCING, note.detail, stamp)]

    def _lose(self, link: str, count: int, words: str, stamp: Stamp) -> list[Action]:
        line = self._lines.get(link)
        if line is None or line.base is State.SYNCING:
            return []
        self.counters.gaps += 1
        line.missing += count
        detail = f"{line.missing} frames {words}"
        note = Note(FactKind.GAP, detail, count=count)
        policy = self.rules.gap_policy
        state = State.SYNCING if policy is GapPolicy.RESYNC else State.GAPPED
        return [note, *self._break(line, state, detail, stamp), *self._elect(line, None, stamp)]

    def _break(self, line: LineBook, state: State, reason: str, stamp: Stamp) -> list[Action]:
        """The link's book is not to be trusted; a fresh snapshot is asked for."""
        if line.base is not State.CROSSED or state is State.SYNCING:
            line.base, line.reason = state, reason
        if state is State.GAPPED and self.rules.gap_policy is GapPolicy.IGNORE:
            return []
        if line.asking.wanted:
            return []
        priority = {State.SYNCING: URGENT, State.CROSSED: NORMAL}.get(state, LOW)
        return [Note(FactKind.RESYNC_STARTED, reason), *line.asking.begin(priority, stamp)]

    # --- which one is published

    def _elect(self, line: LineBook | None, update: Update | None, stamp: Stamp) -> list[Action]:
        """Publishes where the elected book, or the election, changed; `line` is the one that `update` went into."""
        before = better = self._elected
        for one in self._lines.values() if line is None else (*self._lines.values(), line):
            if better is None or self._rank(one) > self._rank(better):
                better = one
        if better is before and before is not None and self._abandoned(before, line, stamp):
            better = line
        if better is not before:
            self._audited(self._audit.stop())
            self._elected = better
        elected = self._elected
        if elected is None:
            return self._changed()
        news = elected is not before or (line is elected and update is not None)
        self.book = elected.book
        self.missing = elected.missing
        self._set_base(elected.base, elected.reason)
        if elected.newest is not None and news:
            newest = elected.newest
            self.sequence = max(newest.seq, 0)
            self._took(newest, elected.link, Stamp(stamp.mono_ns, elected.wall_ns))
        if self._speaks(elected):
            self._prove_by_ns = 0
        elif elected.base is not State.SYNCING and not self.stale_reason and stamp.mono_ns >= self._prove_by_ns:
            self.stale_reason = "nothing has arrived over a live link for this symbol"
        return self._published() if news and elected.newest is not None else self._changed()

    def _speaks(self, line: LineBook) -> bool:
        """Whether a link is live, has brought this symbol since the last break, and has not fallen silent while
        another one went on."""
        if self.live_links is None:
            return True
        silent = self._newest_ns - line.moved_ns > FROZEN_NS
        return self._proves(line.link) and line.link in self._heard and not silent

    def _rank(self, line: LineBook) -> int:
        """How much the book of a link is worth: LIVE before GAPPED before any other, if it is current at all."""
        return {State.LIVE: 3, State.GAPPED: 2, State.CROSSED: 1}.get(line.base, 0) if self._speaks(line) else 0

    def _abandoned(self, elected: LineBook, line: LineBook | None, stamp: Stamp) -> bool:
        """Where nobody watches links (a recording), one that says nothing while another goes on is taken for gone."""
        if self.live_links is not None or line is None or line is elected or line.base is not State.LIVE:
            return False
        return stamp.mono_ns - self._moved_ns > FROZEN_NS

    def _line(self, link: str, stamp: Stamp) -> LineBook:
        line = self._lines.get(link)
        if line is None:
            self._bury()
            if len(self._lines) >= REMEMBERED_LINKS:
                oldest = next(name for name, one in self._lines.items() if one is not self._elected)
                del self._lines[oldest]
            line = self._lines[link] = LineBook(link, self.rules)
            line.asking.begin(URGENT, stamp, wait_ns=max(self._patience_ns, 1))
        return line

    @property
    def _patience_ns(self) -> int:
        """How long a snapshot is waited for that may come by itself."""
        return 0 if self.settled_link else BY_ITSELF_NS

    def _bury(self) -> None:
        """Books of links that are gone never come back; the elected one stays to be shown as STALE."""
        gone = [link for link, one in self._lines.items() if one is not self._elected and not self._proves(link)]
        for link in gone:
            del self._lines[link]

    def _contradicted(self, detail: str, stamp: Stamp) -> list[Action]:
        if self._elected is None:
            return []
        reason = f"an audit contradicts the book: {detail}"
        return [*self._break(self._elected, State.SYNCING, reason, stamp), *self._elect(None, None, stamp)]
