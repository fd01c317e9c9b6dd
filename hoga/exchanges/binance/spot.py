"""Binance spot: `<symbol>@depth@100ms` joined to `GET /api/v3/depth`.

The rule (binance-spot-api-docs, corrected 2025-11-12), with U and u the first and last id of an event:
1. buffer events, then fetch the snapshot; its `lastUpdateId` is lid;
2. drop events with u <= lid;
3. the first kept event must have U <= lid+1 <= u (the literal "lid within [U;u]" of the page would refuse
   the common case u_previous == lid and U == lid+1);
4. from then on U == previous u + 1.
So an event builds on U-1 and leads to u.
"""

from __future__ import annotations

from urllib.parse import quote

from hoga.domain.types import RawDelta, Update
from hoga.exchanges.base import BookStart, Channel, Continuity, Endpoints, Exchange, Limits, RestRequest
from hoga.exchanges.binance.common import AnyDepth, BinanceHandler, BinanceStrategy, RawDepth
from hoga.exchanges.decoding import glanced, rows
from hoga.exchanges.times import epoch_time_ns, moment


class BinanceSpotStrategy(BinanceStrategy):
    endpoints = Endpoints(ws="wss://stream.binance.com:9443", rest="https://api.binance.com")
    limits = Limits(
        symbols_per_link=200,  # 1024 streams are allowed; fewer keep the damage of one lost link small
        symbols_per_request=100,
        messages_per_s=4.0,  # 5 documented, pings and pongs included
        connects_per_s=0.9,  # 300 in 5 minutes
        connect_burst=5,
        lifetime_s=24 * 3600.0,
        idle_timeout_s=15.0,
        rest_weight_per_minute=6000,
    )

    def ws_url(self, endpoints: Endpoints) -> str:
        return f"{endpoints.ws}/stream"

    def snapshot_request(self, native: str) -> RestRequest:
        # 1000 levels cost 50; 5000 cost 250 of 6000 a minute and are worth it for nobody's top of book.
        return RestRequest(f"{self.api}/depth?symbol={quote(native)}&limit=1000", 50)

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest(f"{self.api}/exchangeInfo?permissions=SPOT", 20)]


class BinanceSpotHandler(BinanceHandler):
    def _glanced(self, depth: RawDepth) -> RawDelta | None:
        return glanced(depth.s, depth.U - 1, depth.u, depth.E, depth.b, depth.a)

    def _update(self, depth: AnyDepth) -> Update:
        time = moment(epoch_time_ns, depth.E)
        return Update(
            native_symbol=depth.s,
            snapshot=False,
            bids=rows(depth.b),
            asks=rows(depth.a),
            prev_seq=depth.U - 1,
            seq=depth.u,
            exchange_time_ns=time.ns,
            odd_time=time.odd,
        )


EXCHANGE = Exchange(
    code="binance_spot",
    name="Binance Spot",
    korean_name="바이낸스 현물",
    strategy=BinanceSpotStrategy(),
    handler=BinanceSpotHandler(),
    channels=(
        Channel(
            name="<symbol>@depth@100ms",
            continuity=Continuity.CONSECUTIVE_IDS,
            start=BookStart.REST,
            depth=None,
            snapshot_depth=1000,
            blind_spots=(
                "levels outside the last snapshot's price range are unknown until they change",
                "hidden and iceberg quantities",
            ),
        ),
    ),
    hosts=("stream.binance.com", "data-stream.binance.vision", "api.binance.com", ".binance.us", "binance.us"),
    documentation="https://github.com/binance/binance-spot-api-docs",
)
