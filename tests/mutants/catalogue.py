"""The mutants: each a small, plausible bug in code that books rest on, and the tests that must catch it.

`old` must stand exactly once in `file`. Tests are paths as pytest takes them, run in this order until one
fails: the fewer, and the quick ones first, the faster the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

KEEPERS = (
    "tests/unit/test_keepers.py",
    "tests/unit/test_whole_books.py",
    "tests/unit/test_sequencer.py",
    "tests/properties/test_keeper_properties.py",
    "tests/properties/test_ghost_levels.py",
)
BOOKS = ("tests/properties/test_book_properties.py", "tests/properties/test_keeper_properties.py")
LINES = ("tests/unit/test_line_keeper.py", "tests/properties/test_line_properties.py")
IN_BAND = (
    "tests/unit/test_sequencer.py",
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


SEQUENCER = "hoga/domain/sequencer.py"
JOINING = "hoga/domain/joining.py"
BOOK = "hoga/domain/book.py"
KEEPER = "hoga/domain/keeper.py"
LINE = "hoga/domain/line.py"
WHOLE = "hoga/domain/whole.py"
SEQUENCED = "hoga/domain/sequenced.py"
JOINED = "hoga/domain/joined.py"
PHASES = "hoga/domain/phases.py"
IN_BAND_KEEPER = "hoga/domain/in_band.py"

MUTANTS = (
    Mutant(
        "skip-gap-check",
        "a delta that does not build on the book is applied as if it did",
        SEQUENCER,
        "return Verdict.APPLY if last is None or prev <= last else Verdict.GAP",
        "return Verdict.APPLY",
        KEEPERS,
    ),
    Mutant(
        "apply-stale-delta",
        "a delta that the book already holds is applied again",
        SEQUENCER,
        "            if seq <= last:\n                return Verdict.STALE",
        "            if seq < last - 1:\n                return Verdict.STALE",
        KEEPERS,
    ),
    Mutant(
        "reversal-is-stale",
        "an id that goes backwards on its own link is passed over",
        SEQUENCER,
        "            return Verdict.REVERSAL if era == self._era else Verdict.STALE",
        "            return Verdict.STALE",
        KEEPERS,
    ),
    Mutant(
        "renumbering-unseen",
        "an exchange that says it counts anew is taken for one that lost ids",
        SEQUENCER,
        "        if seq < prev and (place is None or seq != place.seq):\n            return self._renumber",
        "        if seq < prev - 10**15:\n            return self._renumber",
        IN_BAND,
    ),
    Mutant(
        "forget-the-buffer",
        "deltas that arrive while a snapshot is awaited are not kept",
        JOINING,
        "        self.updates.append((link, update))\n",
        "        self.updates.clear()\n        self.updates.append((link, update))\n",
        KEEPERS,
    ),
    Mutant(
        "off-by-one-join",
        "a snapshot one id before the buffered chain is joined to it",
        JOINING,
        "if self.updates[0][1].prev_seq > lid:",
        "if self.updates[0][1].prev_seq > lid + 1:",
        KEEPERS,
    ),
    Mutant(
        "proof-kept-over-reconnect",
        "what was heard before a reconnect proves the book after it",
        KEEPER,
        "if self.base is State.SYNCING or self._heard_live():",
        "if self.base is State.SYNCING or self._heard is not None:",
        (*KEEPERS, *DESK),
    ),
    Mutant(
        "dead-link-proves",
        "frames of a link that is known to be dead prove the book",
        KEEPER,
        "return self.live_links is None or link in self.live_links",
        "return True",
        (*KEEPERS, *DESK),
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
        "hoga/domain/whole.py",
        "        if not update.exchange_time_ns and link in self._newest:",
        "        if update.exchange_time_ns and link in self._newest:",
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
        "    run.shelf.keeper(native, channel)",
        "    run.shelf.keeper(native)",
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
        LINE,
        "        if line.depth:\n            line.book.truncate(line.depth)\n        if line.texts",
        "        if line.depth < 0:\n            line.book.truncate(line.depth)\n        if line.texts",
        LINES,
    ),
    Mutant(
        "checksum-unread",
        "whatever the exchange's checksum says, it is right",
        KEEPER,
        "        if found == expected:",
        "        if found is not None:",
        (*LINES, *IN_BAND),
    ),
    Mutant(
        "broken-line-elected",
        "a link's book is published though it is not LIVE",
        LINE,
        "return {State.LIVE: 3, State.GAPPED: 2, State.CROSSED: 1}.get(line.base, 0) if self._speaks(line) else 0",
        "return 3 if self._speaks(line) else 0",
        LINES,
    ),
    Mutant(
        "connection-jump-unseen",
        "a jump in the numbers of a connection concerns nobody",
        "hoga/runtime/books.py",
        "        missing = number - last - 1\n",
        "        missing = 0\n        return True, []\n",
        (*LINES, "tests/contract/test_tapes_coinbase.py"),
    ),
    Mutant(
        "second-line-rewinds",
        "the snapshot of a second line that is behind takes the book back",
        IN_BAND_KEEPER,
        "        if newer or (newer is None and update.seq > last):\n            return False",
        "        if newer or newer is None:\n            return False",
        IN_BAND,
    ),
    Mutant(
        "first-delta-not-compared",
        "what one line brought first is not kept to be compared with what the other line brings",
        SEQUENCED,
        "        self._recent.remember(update, link)\n        self.sequence",
        "        self.sequence",
        (*KEEPERS, *IN_BAND),
    ),
    Mutant(
        "audit-compares-nothing",
        "an audit never finds a difference",
        JOINED,
        "found, audited = differences(self.book, book), self._auditing",
        "found, audited = list[str](), self._auditing",
        (*KEEPERS, "tests/unit/test_validator_desk_audit.py"),
    ),
    Mutant(
        "old-frame-applied",
        "a whole-book frame older than the book replaces it",
        WHOLE,
        "        if update.exchange_time_ns < self.exchange_time_ns and (late",
        "        if update.exchange_time_ns < 0 and (late",
        KEEPERS,
    ),
    Mutant(
        "bus-loss-unseen",
        "a jump in the frames of a link is not noticed",
        "services/validator/entry.py",
        "return 0 if last is None else max(link_seq - last - 1, -1)",
        "return 0",
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
