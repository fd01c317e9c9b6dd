"""One battery for every venue emulator: a new one is tested by its line in the registry.

Each is driven by the module that parses its exchange, with which it shares nothing, and measured by the market behind
it. What only one exchange's documents say (shapes, words, numbers of limits) stays in tests of its own.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from hoga.domain.errors import FrameError
from hoga.domain.rules import BookRules
from hoga.domain.types import Instrument, State
from hoga.exchanges import registry
from hoga.exchanges.base import BookStart, Exchange, RestRequest, RouteKind
from services.simulator.venues.base import Answer, Call, Topic
from services.simulator.venues.registry import EMULATORS
from tests.support.memory_link import Client, Room
from tests.support.shelf import OpenShelf

ENOUGH = 1 << 20
every_emulator = pytest.mark.parametrize("code", EMULATORS)


class Stage:
    """One exchange, one client that behaves as ingest does."""

    def __init__(self, code: str, **options: Any) -> None:
        self.room = Room(code, **options)
        self.exchange: Exchange = registry.get(code)
        self.venue = self.room.world.venues[code]
        self.market = self.room.world.market.exchanges[code]
        self.natives = self.venue.natives()
        self.client = self.room.client(code)

    def routed(self, kind: RouteKind, client: Client | None = None) -> list[bytes]:
        raw = (client or self.client).raw
        return [frame for frame in raw if self.exchange.strategy.route(frame).kind is kind]

    def of(self, native: str, client: Client | None = None) -> list[bytes]:
        frames = self.routed(RouteKind.BOOK, client)
        return [frame for frame in frames if native in self.exchange.strategy.route(frame).symbols]

    def get(self, request: RestRequest, client: str = "a") -> Answer:
        parts = urlsplit(request.path)
        return self.venue.emulator.rest(Call(parts.path, dict(parse_qsl(parts.query)), client, self.room.clock.now()))

    def refused(self, answer: Answer) -> bool:
        return answer.status >= 400 or self.exchange.strategy.rest_error(answer.body) is not None

    def instruments(self) -> dict[str, Instrument]:
        bodies = [self.get(request).body for request in self.exchange.strategy.instruments_requests()]
        return {one.native_symbol: one for one in self.exchange.handler.parse_instruments(bodies)}

    def shelf(self, frames: list[bytes], snapshot: bytes | None = None, at: int = 0) -> OpenShelf:
        """The book of the first market by these frames; a snapshot by REST came before the frame at place `at`."""
        native, shelf = self.natives[0], OpenShelf(self.exchange, BookRules())
        for place, frame in enumerate(frames):
            readable = shelf.connection(frame, "a", self.room.clock.now())
            route = self.exchange.strategy.route(frame)
            if readable and route.kind is RouteKind.BOOK and native in route.symbols:
                shelf.frame(native, native, frame, "a", self.room.clock.now())
            if place == at and snapshot is not None:
                shelf.snapshot(native, native, snapshot, self.exchange.traits.snapshot_depth, self.room.clock.now())
        return shelf


@every_emulator
class TestEveryEmulator:
    def test_it_admits_at_its_address_and_nowhere_else(self, code: str) -> None:
        stage = Stage(code)
        elsewhere = stage.venue.emulator.open(Call("/no/such/path", {}, "a", stage.room.clock.now()))
        assert isinstance(elsewhere, Answer)
        assert elsewhere.status == 404

    def test_each_market_asked_for_is_granted_sent_and_read(self, code: str) -> None:
        stage = Stage(code)
        stage.client.subscribe(*stage.natives)
        stage.room.run(2.0)
        assert not stage.routed(RouteKind.UNKNOWN)
        assert not stage.routed(RouteKind.REFUSED)
        if stage.exchange.strategy.acknowledges:
            assert stage.routed(RouteKind.ACK)
        for native in stage.natives:
            frames = stage.of(native)
            assert len(frames) > 10, native
            updates = [update for frame in frames for update in stage.exchange.handler.parse(frame)]
            assert {update.native_symbol for update in updates} == {native}
            assert updates[0].snapshot is (stage.exchange.traits.start is not BookStart.REST)

    def test_any_frame_that_is_lost_is_noticed_or_changed_nothing(self, code: str) -> None:
        stage = Stage(code, symbols=1)
        stage.client.subscribe(stage.natives[0])
        stage.room.run(1.5)
        at = len(stage.client.raw)
        rest = stage.exchange.traits.start is BookStart.REST
        body = stage.get(stage.exchange.strategy.snapshot_request(stage.natives[0])).body if rest else None
        stage.room.run(1.5)
        frames = list(stage.client.raw)
        books = [place for place, frame in enumerate(frames) if frame in stage.of(stage.natives[0])]
        whole = stage.shelf(frames, body, at).builders[stage.natives[0]]
        assert whole.state is State.LIVE, whole.reason
        assert whole.counters.gaps + whole.counters.checksum_bad == 0
        depth = stage.exchange.traits.proven_levels or ENOUGH
        for victim in [place for place in books if place > at][1:-1:4]:
            builder = stage.shelf(frames[:victim] + frames[victim + 1 :], body, at).builders[stage.natives[0]]
            noticed = builder.state is not State.LIVE or builder.counters.gaps + builder.counters.checksum_bad > 0
            assert noticed or builder.book.texts(depth) == whole.book.texts(depth), victim

    def test_two_links_with_one_topic_read_the_same_bytes(self, code: str) -> None:
        stage = Stage(code)
        other = stage.room.client(code)
        for client in (stage.client, other):
            client.subscribe(stage.natives[0])
            client.raw.clear()
        stage.room.run(1.0)
        ours, theirs = stage.of(stage.natives[0]), stage.of(stage.natives[0], other)
        assert len(ours) > 5
        parse = stage.exchange.handler.parse
        if stage.venue.emulator.per_link:  # each has a number of its own connection
            assert [parse(frame)[0].bids for frame in ours] == [parse(frame)[0].bids for frame in theirs]
        else:
            assert ours == theirs

    def test_what_is_given_up_stays_silent_and_what_is_taken_again_begins_anew(self, code: str) -> None:
        stage = Stage(code)
        strategy, native = stage.exchange.strategy, stage.natives[0]
        stage.client.subscribe(*stage.natives[:2])
        stage.room.run(0.5)
        ended = strategy.unsubscribe([native], 2, stage.client.now().wall_ns)
        if ended is None:
            assert strategy.replaces_subscription
            ended = strategy.subscribe([stage.natives[1]], 2, stage.client.now().wall_ns)
        stage.client.say(ended)
        stage.client.raw.clear()
        stage.room.run(0.5)
        assert not stage.of(native)
        assert stage.of(stage.natives[1])
        stage.client.say(strategy.subscribe([native], 3, stage.client.now().wall_ns))
        stage.room.run(0.5)
        (first, *_) = stage.exchange.handler.parse(stage.of(native)[0])
        assert first.snapshot is (stage.exchange.traits.start is not BookStart.REST)

    def test_a_market_that_does_not_exist_is_refused_or_silent(self, code: str) -> None:
        stage = Stage(code)
        stage.client.say(stage.exchange.strategy.subscribe(["NO_SUCH-X/Y"], 5, stage.client.now().wall_ns))
        stage.room.run(0.5)
        assert not stage.routed(RouteKind.BOOK)
        assert not stage.routed(RouteKind.UNKNOWN)
        assert stage.venue.emulator.first(Topic("NO_SUCH-X/Y", next(iter(_forms(code))))) is None

    @pytest.mark.parametrize("text", ["", "{", "null", "[]", "{}", "7", '{"op":7}', '[{"x":1}]', '{"method":"no"}'])
    def test_what_is_no_request_takes_nothing_away(self, code: str, text: str) -> None:
        stage = Stage(code)
        stage.client.subscribe(stage.natives[0])
        stage.room.run(0.2)
        stage.client.raw.clear()
        stage.client.say(text)
        stage.room.run(0.5)
        assert not stage.routed(RouteKind.UNKNOWN)
        assert stage.client.closed or stage.of(stage.natives[0])

    def test_our_question_is_answered_at_once(self, code: str) -> None:
        stage = Stage(code)
        stage.room.run(0.1)
        stage.client.raw.clear()
        question = stage.exchange.strategy.probe(stage.client.now().wall_ns)
        if question is None:
            return  # a ping frame: the server answers it
        stage.client.say(question)
        assert stage.routed(RouteKind.ALIVE)

    def test_our_manners_keep_a_link(self, code: str) -> None:
        stage = Stage(code, rate=0.02)
        strategy = stage.exchange.strategy
        stage.client.subscribe(stage.natives[0])
        for _ in range(int(200 / (strategy.heartbeat_s or 20.0))):
            stage.room.run(strategy.heartbeat_s or 20.0)
            if strategy.heartbeat_s is not None:
                text = strategy.heartbeat(stage.client.now().wall_ns)
                if text is None:
                    stage.venue.pinged(stage.client.link, b"")
                else:
                    stage.client.say(text)
        assert not stage.client.closed

    def test_the_lists_hold_what_is_listed_by_the_names_of_the_catalogue(self, code: str) -> None:
        stage = Stage(code, symbols=10)
        found, handler = stage.instruments(), stage.exchange.handler
        listings = {listing.native: listing for listing in stage.market.listings()}
        assert set(found) == set(listings)
        for native, instrument in found.items():
            assert (instrument.base, instrument.quote) == (listings[native].base, listings[native].quote)
            assert instrument.trading
            if instrument.price_tick and listings[native].quote not in stage.venue.emulator.catalogue.bands:
                assert Decimal(instrument.price_tick) == Decimal(listings[native].tick).scaleb(
                    -listings[native].price_decimals
                )
            if listings[native].base.isascii():
                assert handler.normalize_symbol(native) == instrument.symbol
        requests = stage.exchange.strategy.tickers_requests(stage.natives)
        tickers = handler.parse_tickers([stage.get(request).body for request in requests])
        assert set(stage.natives) <= {ticker.native_symbol for ticker in tickers}
        assert all(Decimal(ticker.quote_turnover) > 0 for ticker in tickers if ticker.native_symbol in listings)

    def test_a_snapshot_by_rest_is_a_book_that_was(self, code: str) -> None:
        stage = Stage(code)
        stage.room.run(3.0)
        for native in stage.natives:
            body = stage.get(stage.exchange.strategy.snapshot_request(native)).body
            found = stage.exchange.handler.parse_snapshot(native, body)
            assert found.bids
            assert found.asks
            assert max(Decimal(price) for price, _ in found.bids) < min(Decimal(price) for price, _ in found.asks)
            assert max(len(found.bids), len(found.asks)) <= stage.exchange.traits.snapshot_depth

    def test_errors_of_rest_are_seen_as_such(self, code: str) -> None:
        stage = Stage(code)
        assert stage.refused(stage.get(RestRequest("/no/such/path")))
        unknown = stage.get(stage.exchange.strategy.snapshot_request("NO_SUCH-X"))
        if not stage.refused(unknown):
            with pytest.raises(FrameError):
                stage.exchange.handler.parse_snapshot("NO_SUCH-X", unknown.body)

    def test_who_asks_too_often_is_refused_unless_limits_are_lifted(self, code: str) -> None:
        request = registry.get(code).strategy.snapshot_request
        strict, lifted = Stage(code, client_limits=True), Stage(code)
        assert any(strict.refused(strict.get(request(strict.natives[0]))) for _ in range(3500))
        assert not any(lifted.refused(lifted.get(request(lifted.natives[0]))) for _ in range(3500))

    def test_without_a_change_there_is_no_frame(self, code: str) -> None:
        stage = Stage(code)
        stage.client.subscribe(stage.natives[0])
        (topic,) = stage.client.link.session.topics
        listing = stage.market.listing(stage.natives[0])
        assert listing is not None
        assert stage.venue.emulator.render(topic, listing, None, None) == b""


def _forms(code: str) -> set[str]:
    stage = Stage(code)
    stage.client.subscribe(stage.natives[0])
    return {topic.form for topic in stage.client.link.session.topics}


def test_an_emulator_is_of_an_exchange_that_is_known() -> None:
    assert set(EMULATORS) <= set(registry.EXCHANGES)
    assert all(json.dumps(code) for code in EMULATORS)
