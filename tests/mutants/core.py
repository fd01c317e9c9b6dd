"""Mutants of the core: streams, chains, the arbiter, the status table, episodes, doubts, siblings, the steady path."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

STREAM, CHAIN, ARBITER = "hoga/domain/stream.py", "hoga/domain/chain.py", "hoga/domain/arbiter.py"
STATUS, EPISODE, TROUBLES = "hoga/domain/status.py", "hoga/domain/episode.py", "hoga/domain/troubles.py"
REST, SIBLINGS, DOUBTS = "hoga/domain/rest_recovery.py", "hoga/domain/siblings.py", "hoga/domain/doubts.py"
BUILDER, STREAMS, WHOLE = "hoga/domain/builder.py", "hoga/domain/stream_builder.py", "hoga/domain/whole_builder.py"
BUILT = (
    "tests/unit/test_keepers.py",
    "tests/unit/test_in_band.py",
    "tests/unit/test_line_keeper.py",
    "tests/unit/test_unequal_lines.py",
    "tests/unit/test_in_band_lines.py",
    "tests/unit/test_two_lines_quiet.py",
    "tests/properties/test_keeper_properties.py",
    "tests/properties/test_in_band_properties.py",
    "tests/properties/test_line_properties.py",
    "tests/properties/test_ghost_levels.py",
)
OF_STREAM = ("tests/unit/test_stream.py", *BUILT)
OF_ARBITER = ("tests/unit/test_arbiter.py", *BUILT)
OF_STATUS = ("tests/unit/test_status.py",)
OF_EPISODE = ("tests/unit/test_episode.py", "tests/unit/test_stubborn_books.py")
NOT_BELIEVED = ("tests/unit/test_not_believed.py",)
OF_WHOLE = ("tests/unit/test_whole_books.py", "tests/contract/test_odd_frames.py")

CORE = (
    # --- one stream
    Mutant(
        "a-shared-book",
        "two streams write into one book",
        STREAM,
        "        book = source.book.copy()\n        seq, applied",
        "        book = source.book\n        seq, applied",
        OF_STREAM,
    ),
    Mutant(
        "a-flaw-is-not-inherited",
        "a book that lacks ids is LIVE once another stream has taken it over",
        STREAM,
        "            self.grade, self.reason = source.grade, source.reason",
        '            self.grade, self.reason = State.LIVE, ""',
        OF_STREAM,
    ),
    # --- a join and what contradicts it
    Mutant(
        "a-reversal-proves-any-snapshot",
        "a snapshot that may be of the count before is joined though ids have gone backwards",
        CHAIN,
        "return Fit.UNPROVEN if doubtful and seq > self.ends else Fit.FITS",
        "return Fit.FITS",
        OF_STREAM,
    ),
    Mutant(
        "a-contradiction-is-believed",
        "what the stream said of the snapshot's own id is not held against it",
        REST,
        "            if found:\n                raise",
        "            if False:\n                raise",
        NOT_BELIEVED,
    ),
    Mutant(
        "asks-contradict-nothing",
        "only the bids of a snapshot are held against the stream",
        CHAIN,
        "            for price, size in side.items():\n                beyond",
        '            for price, size in side.items() if name == "bid" else ():\n                beyond',
        OF_STREAM,
    ),
    Mutant(
        "a-delta-across-contradicts",
        "what the delta that leads over the snapshot's id names is held against the snapshot",
        CHAIN,
        "                elif update.prev_seq < seq:",
        "                elif update.prev_seq > seq:",
        OF_STREAM,
    ),
    # --- which stream is published
    Mutant(
        "a-gapped-stream-is-as-good",
        "a stream that lacks ids is chosen like one that lacks none",
        ARBITER,
        "State.GAPPED: 2",
        "State.GAPPED: 3",
        OF_ARBITER,
    ),
    Mutant(
        "the-choice-goes-back",
        "a better stream that is behind what was published takes over at once",
        ARBITER,
        "        return stream.last >= self.sequence or anew or late",
        "        return True",
        OF_ARBITER,
    ),
    Mutant(
        "an-old-count-leads",
        "a stream in a count of ids that the published one has left takes over",
        ARBITER,
        "        if other.count.follows(stream.count):\n            return False\n",
        "",
        OF_ARBITER,
    ),
    Mutant(
        "lines-are-not-compared",
        "two lines that bring different levels under one step are both believed",
        ARBITER,
        "            elif stream.count is other.count or (stream.count.fresh and other.count.fresh):",
        "            elif False:",
        OF_ARBITER,
    ),
    Mutant(
        "a-silent-sibling-may-fill",
        "ids that are missing are waited for from a link that was silent for long",
        ARBITER,
        "or now_ns - other.heard_ns > PATIENCE_NS:\n                continue",
        "or now_ns < other.heard_ns:\n                continue",
        OF_ARBITER,
    ),
    # --- what is promised
    Mutant(
        "an-uncovered-gap",
        "a book that lacks ids is GAPPED, not STALE, while no link carries it",
        STATUS,
        '"uncovered": (_STALE, _STALE,',
        '"uncovered": (_STALE, _GAPPED,',
        OF_STATUS,
    ),
    Mutant(
        "a-halt-is-hidden",
        "a market that is halted is STALE once its link is gone",
        STATUS,
        '"halted" if self.halt else "uncovered" if self.uncovered else',
        '"uncovered" if self.uncovered else "halted" if self.halt else',
        OF_STATUS,
    ),
    # --- mending, later and later
    Mutant(
        "a-bad-symbol-asks-for-ever",
        "a symbol whose snapshots keep failing asks as often as any other",
        EPISODE,
        "        return SPACING.after((self.relapses - AT_ONCE + 1) // 2) if self.stubborn else 0",
        "        return 0",
        OF_EPISODE,
    ),
    Mutant(
        "one-good-snapshot-forgets-all",
        "a snapshot that fails again at once makes up for all that failed before",
        EPISODE,
        "            elif held_ns > max(HELD_NS, self._spacing_ns):",
        "            elif held_ns > 0:",
        OF_EPISODE,
    ),
    Mutant(
        "a-bad-answer-is-no-relapse",
        "answers that are no good are asked for again for ever at the same pace",
        EPISODE,
        "        self._relapse()\n        self._at_ns = max(",
        "        self._at_ns = max(",
        OF_EPISODE,
    ),
    Mutant(
        "a-hurry-overtakes-the-wait",
        "a stubborn symbol asks at once where its stream goes on",
        EPISODE,
        "max(stamp.mono_ns, self._allowed_ns))\n            self.tick",
        "stamp.mono_ns)\n            self.tick",
        OF_EPISODE,
    ),
    Mutant(
        "trouble-is-said-for-ever",
        "that a symbol keeps failing is said at every failure",
        EPISODE,
        "        if self.relapses == AT_ONCE + 1:",
        "        if self.relapses > AT_ONCE:",
        OF_EPISODE,
    ),
    # --- two lines
    Mutant(
        "a-mute-leader-is-believed",
        "the published stream may be silent for ever while another one goes on",
        DOUBTS,
        "            if stream.unanswered_ns and stream.open and now_ns - stream.unanswered_ns > patience_ns:",
        "            if False:",
        BUILT,
    ),
    Mutant(
        "an-orphan-stays-live",
        "the book of a link that is gone stays LIVE beside a sibling that has none",
        DOUBTS,
        "        if near:\n",
        "        if True:\n",
        NOT_BELIEVED,
    ),
    Mutant(
        "a-gap-of-one-line-is-a-gap",
        "ids that a sibling is about to bring are gone over at once",
        SIBLINGS,
        "            if not arbiter.may_fill(front, front.last, now_ns, since_ns=front.stuck_ns):",
        "            if True:",
        BUILT,
    ),
    Mutant(
        "siblings-do-not-help",
        "a stream without a book waits for a snapshot though its sibling has one",
        SIBLINGS,
        "        if len(sources) > 1:",
        "        if len(sources) > 99:",
        BUILT,
    ),
    Mutant(
        "a-book-that-goes-on-is-taken",
        "a stream takes the book of one that may count otherwise, and goes on",
        SIBLINGS,
        "        return still and within and known and stream.open",
        "        return within and stream.open",
        BUILT,
    ),
    # --- the builder
    Mutant(
        "the-steady-path-has-no-sibling",
        "what a published stream brings is taken the short way though there is another stream",
        STREAMS,
        "        if not (moved and stream is before and len(arbiter.streams) == 1):",
        "        if not (moved and stream is before):",
        BUILT,
    ),
    Mutant(
        "a-late-opening-covers-nothing",
        "a link that opens again after all were gone leaves the book uncovered",
        BUILDER,
        '                    status.uncovered = ""\n',
        "",
        BUILT,
    ),
    # --- whole frames
)
