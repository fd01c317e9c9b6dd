"""Binance USD-M futures: `<symbol>@depth@100ms` joined to `GET /fapi/v1/depth`.

The rule (derivatives documentation, "How to manage a local order book correctly"):
1. buffer events, then fetch the snapshot; its `lastUpdateId` is lid;
2. drop events with u < lid;
3. the first kept event has U <= lid <= u, or names it outright: pu == lid;
4. from then on pu == previous u. Ids are shared by all symbols, so U is not previous u + 1.
So an event builds on pu and leads to u. An event with u == lid is already in the snapshot; dropping it makes
the next one's pu equal lid, which is the same book. A market just listed, or one so thin that it has no book, has
lastUpdateId -1 and its first event pu -1: nothing came before. Both are read as 0, so that they join by the same rule,
and no later event can build on -1.

Book data comes from the routed base `/public`; the old unrouted path may connect and stay silent.
"""

from __future__ import annotations

from urllib.parse import quote

from hoga.domain.errors import FrameError, snippet
from hoga.domain.types import RawDelta, Update
from hoga.exchanges.base import BookStart, Channel, Continuity, Endpoints, Exchange, Limits, RestRequest
from hoga.exchanges.binance.common import AnyDepth, BinanceHandler, BinanceStrategy, RawDepth
from hoga.exchanges.decoding import glanced, rows
from hoga.exchanges.times import epoch_time_ns, moment


class BinanceFutureStrategy(BinanceStrategy):
    endpoints = Endpoints(ws="wss://fstream.binance.com", rest="https://fapi.binance.com")
    api = "/fapi/v1"
    default_depth = 500
    limits = Limits(
        symbols_per_link=150,  # 200 by the older, 1024 by the newer page
        symbols_per_request=50,
        messages_per_s=8.0,  # 10 documented
        connects_per_s=0.9,
        connect_burst=5,
        lifetime_s=24 * 3600.0,
        idle_timeout_s=15.0,
        rest_weight_per_minute=2400,
    )

    def ws_url(self, endpoints: Endpoints) -> str:
        return f"{endpoints.ws}/public/stream"

    def snapshot_request(self, native: str) -> RestRequest:
        return RestRequest(f"{self.api}/depth?symbol={quote(native)}&limit=1000", 20)

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest(f"{self.api}/exchangeInfo", 40)]  # 1 by the documentation, 40 as others have counted


class BinanceFutureHandler(BinanceHandler):
    def _glanced(self, depth: RawDepth) -> RawDelta | None:
        return glanced(depth.s, depth.pu, depth.u, depth.T, depth.b, depth.a)

    def _update(self, depth: AnyDepth) -> Update:
        if depth.pu is None:
            raise FrameError("shape", f"futures update of {snippet(depth.s)!r} without pu (u={depth.u})")
        if depth.pu > depth.u:
            raise FrameError("shape", f"futures update of {snippet(depth.s)!r}: pu {depth.pu} above u {depth.u}")
        time = moment(epoch_time_ns, depth.T, depth.E)
        return Update(
            native_symbol=depth.s,
            snapshot=False,
            bids=rows(depth.b),
            asks=rows(depth.a),
            prev_seq=max(depth.pu, 0),
            seq=depth.u,
            exchange_time_ns=time.ns,
            odd_time=time.odd,
        )


EXCHANGE = Exchange(
    code="binance_future",
    name="Binance USD-M Futures",
    korean_name="바이낸스 선물",
    strategy=BinanceFutureStrategy(),
    handler=BinanceFutureHandler(),
    channels=(
        Channel(
            name="<symbol>@depth@100ms",
            continuity=Continuity.LINKED_IDS,
            start=BookStart.REST,
            depth=None,
            snapshot_depth=1000,
            blind_spots=(
                "levels outside the last snapshot's price range are unknown until they change",
                "retail price improvement (RPI) orders are not in the public book",
            ),
        ),
    ),
    hosts=("fstream.binance.com", "fapi.binance.com", "dstream.binance.com", "dapi.binance.com"),
    documentation="https://developers.binance.com/docs/derivatives/usds-margined-futures",
)
