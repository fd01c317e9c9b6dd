"""The mutants: each a small, plausible bug in code that books rest on, and the tests that must catch it.

`old` must stand exactly once in `file`. Tests are paths as pytest takes them, run in this order until one
fails: the fewer, and the quick ones first, the faster the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

KEEPERS = (
    "tests/unit/test_keepers.py",
    "tests/unit/test_whole_books.py",
    "tests/unit/test_stream.py",
    "tests/properties/test_keeper_properties.py",
    "tests/properties/test_ghost_levels.py",
)
BOOKS = ("tests/properties/test_book_properties.py", "tests/properties/test_keeper_properties.py")
LINES = ("tests/unit/test_line_keeper.py", "tests/properties/test_line_properties.py")
IN_BAND = (
    "tests/unit/test_stream.py",
    "tests/unit/test_in_band.py",
    "tests/unit/test_in_band_lines.py",
    "tests/unit/test_unequal_lines.py",
    "tests/properties/test_in_band_properties.py",
)
EXCHANGES = ("tests/contract/test_exchanges.py", "tests/contract/test_tapes.py")
DESK = (
    "tests/unit/test_validator_coverage.py",
    "tests/unit/test_validator_desk.py",
    "tests/unit/test_validator_desk_instruments.py",
)
PHASES_TESTS = ("tests/unit/test_phases.py", "tests/unit/test_validator_desk_instruments.py")
LANES = ("tests/unit/test_ingest_lane.py",)
LINK_EVENTS = ("tests/unit/test_ingest_link_events.py", "tests/integration/test_ingest_link_events.py")


@dataclass(frozen=True)
class Mutant:
    name: str
    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


BOOK = "hoga/domain/book.py"
STREAM = "hoga/domain/stream.py"
CHAIN = "hoga/domain/chain.py"
ARBITER = "hoga/domain/arbiter.py"
DOUBTS = "hoga/domain/doubts.py"
EPISODE = "hoga/domain/episode.py"
TROUBLES = "hoga/domain/troubles.py"
BUILDER = "hoga/domain/builder.py"
REST_RECOVERY = "hoga/domain/rest_recovery.py"
STREAM_BUILDER = "hoga/domain/stream_builder.py"
WHOLE = "hoga/domain/whole_builder.py"
PHASES = "hoga/domain/phases.py"

MUTANTS = (
    Mutant(
        "skip-gap-check",
        "a delta that does not build on the book is applied as if it did",
        STREAM,
        "        if prev > self.last:\n            self.stuck_ns = mono_ns",
        "        if prev < 0:\n            self.stuck_ns = mono_ns",
        KEEPERS,
    ),
    Mutant(
        "apply-stale-delta",
        "a delta that the book already holds is applied again",
        STREAM,
        "        if seq <= self.last:\n            return Took.OLD",
        "        if seq < self.last - 1:\n            return Took.OLD",
        KEEPERS,
    ),
    Mutant(
        "reversal-is-stale",
        "an id that goes backwards on its own link is passed over",
        STREAM,
        "            self.reversed, self.before = True, heard\n            return Took.REVERSAL",
        "            return Took.OLD",
        KEEPERS,
    ),
    Mutant(
        "renumbering-unseen",
        "an exchange that says it counts anew is taken for one that lost ids",
        STREAM,
        "        if seq < prev:\n            return self._turn",
        "        if seq < prev - 10**15:\n            return self._turn",
        IN_BAND,
    ),
    Mutant(
        "forget-the-buffer",
        "deltas that arrive while a snapshot is awaited are not kept",
        CHAIN,
        "        self.items.append((mono_ns, update))\n",
        "        self.items.clear()\n        self.items.append((mono_ns, update))\n",
        KEEPERS,
    ),
    Mutant(
        "off-by-one-join",
        "a snapshot one id before the chain is joined to it",
        CHAIN,
        "        if self.begins > seq:",
        "        if self.begins > seq + 1:",
        KEEPERS,
    ),
    Mutant(
        "proof-kept-over-reconnect",
        "what was heard before a link opened proves the book after it",
        BUILDER,
        "                    stream.doubted = stream.grade is not State.SYNCING  # it has to show itself\n",
        "                    stream.doubted = False\n",
        (*KEEPERS, *LINES, *DESK),
    ),
    Mutant(
        "dead-link-proves",
        "a book whose link is gone is as good as any other",
        ARBITER,
        "        return stream.open and not stream.doubted",
        "        return True",
        (*KEEPERS, *IN_BAND, *DESK),
    ),
    Mutant(
        "back-within-a-count",
        "a sound line that is known to be behind takes the place of a better informed one",
        ARBITER,
        "        if stream.count is other.count and stream.last < other.last:\n",
        "        if stream.last < 0:\n",
        ("tests/unit/test_known_ids.py", "tests/unit/test_arbiter.py"),
    ),
    Mutant(
        "counts-never-meet",
        "lines that brought the same step do not count the same",
        ARBITER,
        "                if update.bids or update.asks:\n                    self.agree(stream, other)",
        "                if update.bids and not update.bids:\n                    self.agree(stream, other)",
        ("tests/unit/test_arbiter.py", *IN_BAND),
    ),
    Mutant(
        "doubt-unseen",
        "a doubted book is shown as LIVE",
        "hoga/domain/status.py",
        '    "doubted": (_STALE, _STALE, _STALE, _SYNCING),',
        '    "doubted": (_LIVE, _STALE, _STALE, _SYNCING),',
        ("tests/unit/test_status.py", *KEEPERS),
    ),
    Mutant(
        "halts-unseen",
        "a market that does not trade is LIVE",
        "hoga/domain/status.py",
        '        return "halted" if self.halt else "uncovered"',
        '        return "uncovered"',
        ("tests/unit/test_status.py", *KEEPERS),
    ),
    Mutant(
        "contradictions-believed",
        "a snapshot that contradicts the stream at its own id is believed",
        CHAIN,
        "                if not beyond and shown.get(price, 0) != size:",
        "                if beyond and shown.get(price, 0) != size:",
        ("tests/unit/test_stream.py", *KEEPERS),
    ),
    Mutant(
        "no-escalation",
        "a symbol that fails at once after every snapshot is asked for at full speed",
        EPISODE,
        "        return self.relapses > AT_ONCE",
        "        return self.relapses < 0",
        ("tests/unit/test_episode.py", "tests/unit/test_stubborn_books.py"),
    ),
    Mutant(
        "relapse-forgotten",
        "a snapshot heals even a wound that opens again at once",
        EPISODE,
        "            if held_ns < RELAPSE_NS:",
        "            if held_ns < 0:",
        ("tests/unit/test_episode.py", "tests/unit/test_stubborn_books.py"),
    ),
    Mutant(
        "auction-is-a-loss",
        "a book that the exchange itself sends crossed is asked for again",
        STREAM,
        "        if book.crossed:\n            self.take_as_sent()",
        "        if book.crossed:\n            self.flaw(State.CROSSED, AS_SENT)",
        IN_BAND,
    ),
    Mutant(
        "checksum-believed-for-ever",
        "a checksum that is always wrong leaves no book",
        TROUBLES,
        "        return self._bad_sums < BAD_SUMS",
        "        return self._bad_sums < 10**9",
        ("tests/unit/test_stubborn_books.py",),
    ),
    Mutant(
        "mute-line-believed",
        "the published line says nothing while the other one goes on, and nobody minds",
        DOUBTS,
        "            stream.unanswered_ns = stream.unanswered_ns or now_ns\n",
        "            stream.unanswered_ns = 0\n",
        ("tests/unit/test_unequal_lines.py", "tests/unit/test_known_ids.py", *KEEPERS),
    ),
    Mutant(
        "recentring-never",
        "the proven range is left to shrink",
        STREAM_BUILDER,
        "        need = min(2 * self.rules.depth",
        "        need = 0 * min(2 * self.rules.depth",
        ("tests/properties/test_ghost_levels.py",),
    ),
    Mutant(
        "wrong-side",
        "asks are applied to the bids and bids to the asks",
        BOOK,
        "self.orphan_deletes += self.bids.apply(new_bids) + self.asks.apply(new_asks)",
        "self.orphan_deletes += self.asks.apply(new_bids) + self.bids.apply(new_asks)",
        BOOKS,
    ),
    Mutant(
        "deletes-ignored",
        "a size of zero leaves the level standing",
        BOOK,
        "            elif present:\n                del prices[index], sizes[index]",
        "            elif present:\n                orphans += 0",
        BOOKS,
    ),
    Mutant(
        "worst-instead-of-best",
        "the published bids begin at the far end",
        BOOK,
        "return self.bids.prices[: -count - 1 : -1], self.bids.sizes[: -count - 1 : -1]",
        "return self.bids.prices[:count], self.bids.sizes[:count]",
        BOOKS,
    ),
    Mutant(
        "locked-is-fine",
        "a best bid equal to the best ask does not count as crossed",
        BOOK,
        "return bool(bids) and bool(asks) and bids[-1] >= asks[0]",
        "return bool(bids) and bool(asks) and bids[-1] > asks[0]",
        KEEPERS,
    ),
    Mutant(
        "known-range-stays-coarse",
        "the range of what is known is not brought to the decimals of finer prices",
        BOOK,
        "        self._low = None if self._low is None else self._low * factor\n",
        "",
        BOOKS,
    ),
    Mutant(
        "ghosts-are-known",
        "levels beyond what the snapshot could know count as proven",
        BOOK,
        "return len(prices) if self._low is None else len(prices) - bisect_left(prices, self._low)",
        "return len(prices)",
        KEEPERS,
    ),
    Mutant(
        "finer-value-unscaled",
        "prices keep their integers when the column's exponent widens",
        BOOK,
        "            side.prices = [price * factor for price in side.prices]",
        "            side.prices = [price * 1 for price in side.prices]",
        BOOKS,
    ),
    Mutant(
        "float-keys",
        "prices and sizes go through binary floats",
        "hoga/domain/numbers.py",
        "        return int(digits) * POW10[missing]",
        "        return int(float(text) * POW10[decimals])",
        (*BOOKS, *EXCHANGES),
    ),
    Mutant(
        "wide-sizes-one-sided",
        "where sizes do not fit 64 bits those of the asks are left out",
        "hoga/wire/columns.py",
        "    for column, side in zip(texts, values, strict=True):",
        "    for column, side in zip(texts, values[:1], strict=False):",
        ("tests/unit/test_wire_columns.py",),
    ),
    Mutant(
        "no-time-is-old",
        "a frame without a time is taken for older than the book",
        WHOLE,
        "        if not update.exchange_time_ns and stream.heard:",
        "        if update.exchange_time_ns and stream.heard:",
        ("tests/contract/test_odd_frames.py",),
    ),
    Mutant(
        "last-level-dropped",
        "the last level of every side of a frame is lost",
        "hoga/exchanges/decoding.py",
        "    return levels\n\n\ndef raw_number",
        "    return levels[:-1]\n\n\ndef raw_number",
        EXCHANGES,
    ),
    Mutant(
        "older-channel-as-live",
        "a recording of an older channel is read by the rules of the live one",
        "hoga/runtime/replay.py",
        "    run.shelf.builder(native, channel)",
        "    run.shelf.builder(native)",
        ("tests/contract/test_channels.py",),
    ),
    Mutant(
        "channels-mixed",
        "frames of another channel change the book",
        "hoga/runtime/books.py",
        "        if name and name != (channel",
        "        if not name and name != (channel",
        ("tests/contract/test_channels.py",),
    ),
    Mutant(
        "request-without-a-clock",
        "the time in a subscription is not that of its sending",
        "services/ingest/outbox.py",
        "self._subscriptions.next_frame(now_s, time.time_ns())",
        "self._subscriptions.next_frame(now_s, 0)",
        ("tests/unit/test_ingest_outbox.py",),
    ),
    Mutant(
        "spot-id-off-by-one",
        "a Binance spot delta is said to build on its own first id",
        "hoga/exchanges/binance/spot.py",
        "prev_seq=depth.U - 1,",
        "prev_seq=depth.U,",
        EXCHANGES,
    ),
    Mutant(
        "no-truncation",
        "levels that fell out of the depth that Kraken keeps stay in the book",
        STREAM,
        "        if self.kind.truncates:\n            book.truncate(self.kind.kept)\n        self.newest",
        "        if not self.kind.kept:\n            book.truncate(self.kind.kept)\n        self.newest",
        LINES,
    ),
    Mutant(
        "checksum-unread",
        "whatever the exchange's checksum says, it is right",
        STREAM,
        "        return self.found_sum == update.checksum",
        "        return self.found_sum is not None",
        (*LINES, *IN_BAND),
    ),
    Mutant(
        "broken-line-elected",
        "a link's book is published though another one is LIVE",
        ARBITER,
        "        return WORTH[stream.grade] if self.current(stream) else 0",
        "        return 3 if self.current(stream) else 0",
        LINES,
    ),
    Mutant(
        "connection-jump-unseen",
        "a jump in the numbers of a connection concerns nobody",
        "hoga/runtime/books.py",
        "        if last is None or number in (last, last + 1):",
        "        if last is None or number >= last:",
        ("tests/contract/test_tapes_coinbase.py",),
    ),
    Mutant(
        "second-line-rewinds",
        "a second line that is behind takes the book back",
        ARBITER,
        "        return stream.last > other.last if stream.count is other.count",
        "        return stream.last != other.last if stream.count is other.count",
        ("tests/unit/test_arbiter.py", *IN_BAND),
    ),
    Mutant(
        "first-delta-not-compared",
        "what one line brought before there was another is not compared with what that one brings",
        STREAM,
        "            known = [self.newest]\n",
        "            known = []\n",
        (*KEEPERS, *IN_BAND, "tests/unit/test_arbiter.py"),
    ),
    Mutant(
        "audit-compares-nothing",
        "an audit never finds a difference",
        REST_RECOVERY,
        "        found, audit = differences(stream.book, book), self.auditing",
        "        found, audit = list[str](), self.auditing",
        (*KEEPERS, "tests/unit/test_validator_desk_audit.py"),
    ),
    Mutant(
        "old-frame-applied",
        "a whole-book frame older than the book replaces it",
        WHOLE,
        "        if older and (late or",
        "        if older and not late and (late or",
        KEEPERS,
    ),
    Mutant(
        "bus-loss-unseen",
        "a jump in the frames of a link is not noticed",
        BUILDER,
        "        return 0 if last is None else max(number - last - 1, -1)",
        "        return 0",
        DESK,
    ),
    Mutant(
        "silent-ingest-is-live",
        "a link whose reports have stopped stays live for ever",
        "services/validator/coverage.py",
        "if slot.beat_ns is not None and now_ns - slot.beat_ns > self._silent_after_ns",
        "if slot.beat_ns is not None and now_ns < slot.beat_ns",
        DESK,
    ),
    Mutant(
        "lost-link-event-unseen",
        "a beat that names an event which was never heard changes nothing",
        "services/validator/coverage.py",
        "if told[name].events != link.events]",
        "if told[name].events < link.events]",
        DESK,
    ),
    Mutant(
        "link-event-out-of-order-believed",
        "an event is taken though one before it was lost",
        "services/validator/coverage.py",
        "if number != link.events + 1:",
        "if number < link.events + 1:",
        DESK,
    ),
    Mutant(
        "planned-end-is-a-loss",
        "the end of a link that was replaced as planned is told as a loss",
        "services/ingest/link.py",
        "planned=kind is EndKind.REPLACED or self.succeeded)",
        "planned=False)",
        LINK_EVENTS,
    ),
    Mutant(
        "loss-of-the-bus-unsaid",
        "what the bus had taken and not delivered, when it went away, leaves no number out",
        "services/ingest/service.py",
        "                slot.missed()\n",
        "                pass\n",
        ("tests/integration/test_ingest_service.py",),
    ),
    Mutant(
        "frames-behind-the-end",
        "a link that has ended goes on to publish what has arrived",
        "services/ingest/link.py",
        "            self._reading.cancel()\n",
        "            pass\n",
        LINK_EVENTS,
    ),
    Mutant(
        "thrown-away-untold",
        "a frame that the bus did not take leaves its symbol open",
        "services/ingest/reader.py",
        "        self._on_loss(symbol)\n",
        "",
        LINK_EVENTS,
    ),
    Mutant(
        "an-auction-matches",
        "a book is LIVE, and repaired where it is crossed, while its exchange holds an auction",
        PHASES,
        "Phase.AUCTION: Meaning(False, True,",
        "Phase.AUCTION: Meaning(True, True,",
        PHASES_TESTS,
    ),
    Mutant(
        "maintenance-empties-the-universe",
        "a market leaves the universe while its exchange is maintained",
        PHASES,
        'Phase.MAINTENANCE: Meaning(False, True, "is being maintained")',
        'Phase.MAINTENANCE: Meaning(False, False, "is being maintained")',
        (*PHASES_TESTS, "tests/unit/test_universe.py"),
    ),
    Mutant(
        "an-unknown-word-halts",
        "a word that no table holds takes the book away",
        PHASES,
        "return words.get(word, Phase.UNKNOWN)",
        "return words.get(word, Phase.HALTED)",
        (*PHASES_TESTS, "tests/contract/test_exchanges.py"),
    ),
    Mutant(
        "a-repeated-list-is-news",
        "a list that is told again takes back what a message told since",
        PHASES,
        "if time_ns == list_ns or told_ns - CLOCKS_NS < time_ns < told_ns + FETCH_NS",
        "if False",
        PHASES_TESTS,
    ),
    Mutant(
        "the-market-stands-before-the-exchange",
        "a market trades on while its whole exchange is maintained",
        PHASES,
        "        if not whole.phase.matches:\n            return whole\n",
        "",
        PHASES_TESTS,
    ),
    Mutant(
        "a-phase-never-ends",
        "a phase that ends by itself lasts until the next list",
        PHASES,
        "over = 0 < self.until_ns <= now_ns",
        "over = False",
        PHASES_TESTS,
    ),
    Mutant(
        "revision-stands-still",
        "every message of a book has the same revision",
        "services/validator/publisher.py",
        "        entry.revision += 1\n",
        "        entry.revision = 1\n",
        DESK,
    ),
    Mutant(
        "dropped-frame-uncounted",
        "a frame that the bus did not take leaves no hole in the numbers",
        "services/ingest/lane.py",
        "return self._publish(self._subject, envelope.write(self._head, seq, receive_time_ns, receive_mono_ns, frame))",
        "taken = self._publish(self._subject, envelope.write(self._head, seq, receive_time_ns, receive_mono_ns, frame))"
        "\n        self.seq -= not taken\n        return taken",
        LANES,
    ),
    Mutant(
        "ping-overtakes-messages",
        "a ping of the bus goes out before the messages that were handed over earlier",
        "hoga/runtime/nats_lean.py",
        "        if self._pending and self._transport is not None:\n",
        "        if self._pending and self._transport is None:\n",
        ("tests/unit/test_runtime_nats_lean.py",),
    ),
    Mutant(
        "half-a-message-is-whole",
        "a message of the bus whose end has not come yet is taken for whole",
        "hoga/runtime/nats_lean.py",
        "                    if end + 2 > size:\n",
        "                    if end > size + 2:\n",
        ("tests/unit/test_runtime_nats_lean.py",),
    ),
    Mutant(
        "bad-symbol-spends-the-hour",
        "a symbol that never heals may use up the link's requests of the hour",
        "services/ingest/budget.py",
        "self._bucket.capacity * (1.0 - 0.5 ** self._renewals(native, now_s))",
        "0.0",
        ("tests/unit/test_ingest_budget.py",),
    ),
    Mutant(
        "audit-always-agrees",
        "a snapshot that contradicts the book is taken for agreement",
        "hoga/domain/audit.py",
        "            if our_size != their_size:",
        "            if our_size != their_size and not ours:",
        ("tests/unit/test_audit.py",),
    ),
)
