"""One battery for every exchange of the registry: a new one adds its samples and is tested."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.domain.errors import ConfigError, FrameError
from hoga.domain.phases import Phase
from hoga.domain.symbols import SymbolMap
from hoga.domain.types import Update
from hoga.exchanges import registry
from hoga.exchanges.base import Endpoints, Exchange, RestKind, RouteKind
from tests.contract.samples import SAMPLES, Samples

EXCHANGES = [pytest.param(exchange, SAMPLES[code], id=code) for code, exchange in registry.EXCHANGES.items()]
every_exchange = pytest.mark.parametrize(("exchange", "samples"), EXCHANGES)


@every_exchange
class TestEveryExchange:
    def test_routes_and_parses_its_frames(self, exchange: Exchange, samples: Samples) -> None:
        for frame in samples.books:
            route = exchange.strategy.route(frame)
            assert route.kind is RouteKind.BOOK
            assert route.symbols == (samples.native,)
            for update in exchange.handler.parse(frame):
                assert update.native_symbol == samples.native
                assert 1_500_000_000 * 10**9 < update.exchange_time_ns < 2_000_000_000 * 10**9

    def test_knows_its_control_frames(self, exchange: Exchange, samples: Samples) -> None:
        for frames, kind in (
            (samples.acks, RouteKind.ACK),
            (samples.refusals, RouteKind.REFUSED),
            (samples.alive, RouteKind.ALIVE),
            (samples.phases, RouteKind.PHASE),
            (samples.other, RouteKind.OTHER),
        ):
            for frame in frames:
                assert exchange.strategy.route(frame).kind is kind, frame
        for frame in samples.phases:
            assert Phase.UNKNOWN not in {told.phase for told in exchange.handler.parse_phases(frame)}
        for frame in samples.acks:
            route = exchange.strategy.route(frame)
            assert route.request_id == 7 or samples.native in route.symbols

    def test_what_it_does_not_understand_is_unknown_and_never_raises(
        self, exchange: Exchange, samples: Samples
    ) -> None:
        for frame in (b"", b"{", b"null", b"[]", b"42", b'"x"', b"\xff\xfe", b"{}", b"[" * 50_000, b'{"a":' * 5000):
            assert exchange.strategy.route(frame).kind in (RouteKind.UNKNOWN, RouteKind.OTHER)
            with pytest.raises(FrameError):
                exchange.handler.parse(frame or b"-")

    def test_reads_back_its_own_snapshot_address(self, exchange: Exchange, samples: Samples) -> None:
        request = exchange.strategy.snapshot_request(samples.native)
        match = exchange.strategy.match_rest(exchange.strategy.endpoints.rest + request.path)
        assert match is not None
        assert (match.kind, match.native_symbol) == (RestKind.SNAPSHOT, samples.native)
        for requests, kind in (
            (exchange.strategy.instruments_requests(), RestKind.INSTRUMENTS),
            (exchange.strategy.tickers_requests([samples.native]), RestKind.TICKERS),
        ):
            assert requests
            for one in requests:
                found = exchange.strategy.match_rest(exchange.strategy.endpoints.rest + one.path)
                assert found is not None
                assert found.kind is kind
                assert one.weight >= 1

    def test_parses_its_rest_bodies(self, exchange: Exchange, samples: Samples) -> None:
        snapshot = exchange.handler.parse_snapshot(samples.native, samples.snapshot)
        assert snapshot.snapshot
        instruments = SymbolMap(exchange.handler.parse_instruments(samples.instruments))
        assert instruments.by_native[samples.native].symbol == samples.symbol
        assert not instruments.collisions
        tickers = exchange.handler.parse_tickers(samples.tickers)
        assert tickers[0].native_symbol == samples.native
        for body in samples.rest_errors:
            assert exchange.strategy.rest_error(body)
        assert exchange.strategy.rest_error(samples.snapshot) is None

    def test_broken_rest_bodies_are_frame_errors(self, exchange: Exchange, samples: Samples) -> None:
        for body in (b"", b"<html>403</html>", b"{}x", b"[1]", b'{"symbols":5}', samples.snapshot[:-3]):
            with pytest.raises(FrameError):
                exchange.handler.parse_snapshot(samples.native, body)
            with pytest.raises(FrameError):
                exchange.handler.parse_instruments([body])
            with pytest.raises(FrameError):
                exchange.handler.parse_tickers([body])

    def test_refuses_an_empty_subscription(self, exchange: Exchange, samples: Samples) -> None:
        with pytest.raises(ValueError, match="at least one symbol"):
            exchange.strategy.subscribe([], 1, 0)

    def test_subscribes_what_it_is_asked_for(self, exchange: Exchange, samples: Samples) -> None:
        text = exchange.strategy.subscribe([samples.native], 5, 0)
        json.loads(text)
        assert samples.native.lower() in text.lower()

    def test_its_addresses_can_be_replaced(self, exchange: Exchange, samples: Samples) -> None:
        url = exchange.strategy.ws_url(Endpoints(ws="ws://other:1/x", rest="http://other:1/x"))
        assert url.startswith("ws://other:1/x/")

    def test_is_recognised_by_its_addresses(self, exchange: Exchange, samples: Samples) -> None:
        """By itself, or by the sibling whose addresses are the very same: recordings of both replay under either."""
        strategy = exchange.strategy
        rest = strategy.endpoints.rest + strategy.snapshot_request(samples.native).path
        for url in (strategy.ws_url(strategy.endpoints), rest):
            found = registry.detect(url)
            assert found is not None
            assert found is exchange or registry.fits(exchange, url)

    def test_normalises_without_a_list_what_the_list_would_say(self, exchange: Exchange, samples: Samples) -> None:
        for instrument in exchange.handler.parse_instruments(samples.instruments):
            assert exchange.handler.normalize_symbol(instrument.native_symbol) == instrument.symbol

    def test_says_what_it_can_prove(self, exchange: Exchange, samples: Samples) -> None:
        assert exchange.traits.blind_spots
        assert exchange.korean_name
        assert exchange.limits.symbols_per_link >= 1
        assert exchange.limits.messages_per_s > 0
        assert exchange.strategy.heartbeat_s is None or (exchange.limits.idle_timeout_s > exchange.strategy.heartbeat_s)

    def test_damaged_frames_are_frame_errors_or_valid(self, exchange: Exchange, samples: Samples) -> None:
        """Every frame with bytes changed, cut or doubled: parsed, or refused as a FrameError, never anything else."""
        chance = random.Random(20260101)
        for frame in samples.books:
            for _ in range(1500):
                damaged = bytearray(frame)
                for _ in range(chance.randint(1, 4)):
                    place = chance.randrange(len(damaged))
                    match chance.randrange(4):
                        case 0:
                            damaged[place] = chance.randrange(256)
                        case 1:
                            del damaged[place : place + chance.randint(1, 20)]
                        case 2:
                            damaged[place:place] = damaged[place : place + 12]
                        case _:
                            damaged[place:place] = chance.choice([b"null", b"-1", b"1e999", b'"', b"[", b"NaN"])
                    if not damaged:
                        damaged = bytearray(b" ")
                exchange.strategy.route(bytes(damaged))
                found = outcome(exchange, bytes(damaged))
                assert not isinstance(found, FrameError) or (found.reason and len(str(found)) < 1000)


@every_exchange
@given(data=st.binary(max_size=400))
def test_no_bytes_escape_as_anything_but_a_frame_error(exchange: Exchange, samples: Samples, data: bytes) -> None:
    exchange.strategy.route(data)
    for parse in (
        exchange.handler.parse,
        lambda body: exchange.handler.parse_snapshot(samples.native, body),
        lambda body: exchange.handler.parse_instruments([body]),
        lambda body: exchange.handler.parse_tickers([body]),
    ):
        try:
            parse(data)
        except FrameError:
            continue


def outcome(exchange: Exchange, frame: bytes) -> list[Update] | FrameError:
    try:
        return exchange.handler.parse(frame)
    except FrameError as error:
        return error


class TestRules:
    def test_binance_spot_builds_on_the_id_before_its_first(self) -> None:
        (update,) = registry.get("binance_spot").handler.parse(SAMPLES["binance_spot"].books[0])
        assert (update.prev_seq, update.seq) == (10, 15)

    def test_binance_futures_build_on_pu(self) -> None:
        (update,) = registry.get("binance_future").handler.parse(SAMPLES["binance_future"].books[0])
        assert (update.prev_seq, update.seq) == (10, 15)
        assert update.exchange_time_ns == 1723161256298 * 10**6, "the matching engine's time"

    def test_a_futures_update_without_pu_is_refused(self) -> None:
        frame = SAMPLES["binance_future"].books[1].replace(b'"pu":10,', b"")
        with pytest.raises(FrameError, match="without pu"):
            registry.get("binance_future").handler.parse(frame)

    def test_padding_is_dropped_and_exponents_are_exact(self) -> None:
        (update,) = registry.get("upbit").handler.parse(SAMPLES["upbit"].books[0])
        assert update.asks == [("1.16539E8", "0.10623869")]
        assert update.bids == [("1.16538E8", "3E-8")]

    def test_the_recorded_upbit_examples_parse(self) -> None:
        from tests.support import tapes

        text = tapes.tape("upbit/jkorf_ws_orderbook.txt").read_text()
        frame = text[text.index("{\n") :].strip().encode()
        frame = frame[: frame.rindex(b"}") + 1]
        (update,) = registry.get("upbit").handler.parse(frame)
        assert update.native_symbol == "KRW-ETH"
        assert update.asks[0] == ("137002000", "0.10623869")

    def test_bithumb_sizes_rounded_to_nothing_are_left_out(self) -> None:
        (update,) = registry.get("bithumb").handler.parse(SAMPLES["bithumb"].books[0])
        assert update.bids == [("478300", "5.637")]
        assert update.asks == [("478800", "4.3478")]

    def test_the_old_bithumb_book_is_understood_and_the_old_delta_left_aside(self) -> None:
        bithumb = registry.get("bithumb")
        old = (
            b'{"type":"orderbooksnapshot","content":{"symbol":"BTC_KRW","datetime":"1790133914965948",'
            b'"asks":[["116501000","0.0163"]],"bids":[["116500000","0.1"],["116499000","0"]]}}'
        )
        assert bithumb.strategy.route(old).symbols == ("BTC_KRW",)
        (update,) = bithumb.handler.parse(old)
        assert update.bids == [("116500000", "0.1")]
        assert bithumb.handler.normalize_symbol("BTC_KRW") == "BTC-KRW"
        assert bithumb.strategy.route(b'{"type":"orderbookdepth","content":{"list":[]}}').kind is RouteKind.OTHER

    def test_non_ascii_symbols_are_taken_as_they_are(self) -> None:
        spot = registry.get("binance_spot")
        for name in ("币安人生USDT", '"\\u5e01USDT"'.strip('"')):
            frame = SAMPLES["binance_spot"].books[0].replace(b'"s":"BTCUSDT"', f'"s":"{name}"'.encode())
            assert spot.strategy.route(frame).symbols == (json.loads(f'"{name}"'),)
            assert spot.handler.parse(frame)[0].native_symbol == json.loads(f'"{name}"')

    def test_an_announced_shutdown_means_reconnect(self) -> None:
        spot = registry.get("binance_spot").strategy
        for frame in (
            b'{"e":"serverShutdown","E":1770123456789}',
            b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}',
        ):
            assert spot.route(frame).kind is RouteKind.CLOSING

    def test_an_unknown_exchange_is_one_clear_line(self) -> None:
        with pytest.raises(
            ConfigError, match=r"unknown exchange 'upbitt' \(did you mean 'upbit'\?\); known: binance_future"
        ):
            registry.get("upbitt")

    def test_two_markets_never_share_a_symbol(self) -> None:
        handler = registry.get("binance_spot").handler
        body = (
            b'{"symbols":[{"symbol":"AB1","baseAsset":"A","quoteAsset":"B","status":"TRADING"},'
            b'{"symbol":"AB2","baseAsset":"A","quoteAsset":"B","status":"TRADING"},'
            b'{"symbol":"CD1","baseAsset":"C","quoteAsset":"D","status":"BREAK"},'
            b'{"symbol":"CD2","baseAsset":"C","quoteAsset":"D","status":"TRADING"}]}'
        )
        symbols = SymbolMap(handler.parse_instruments([body]))
        assert symbols.by_symbol["A-B"].native_symbol == "AB1"
        assert [(a.native_symbol, b.native_symbol) for a, b in symbols.collisions] == [("AB1", "AB2")]
        assert symbols.by_symbol["C-D"].native_symbol == "CD2", "a delisted market leaves its symbol to a new one"
        assert set(symbols.by_native) == {"AB1", "CD2"}
