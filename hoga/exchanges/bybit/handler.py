"""What Bybit's frames and lists mean, in both markets (V5).

A frame of the topic `orderbook.200.BTCUSDT` (recorded; spot writes `ts` before `type`):

    {"topic":"orderbook.200.BTCUSDT","type":"delta","ts":1786310818130,"data":{"s":"BTCUSDT",
     "b":[["65094.60","0.076"],["65093.10","0"]],"a":[["65116.60","0"]],"u":18521289,"seq":7961638801},
     "cts":1786310818128}

1. A subscription begins with a `snapshot`. One that comes later is the whole book again, and so is any frame
   with u == 1: the exchange's service was restarted and counts anew.
2. A delta builds on u - 1. The topic's page does not promise it, but everything recorded keeps it; a jump is a
   gap, healed by unsubscribing and subscribing that topic. `seq` rises with holes and proves nothing.
3. Size 0 deletes. What falls out of the topic's depth is deleted too: there is nothing for us to cut.
4. `cts` is the matching engine's time; recordings of 2023 have only `ts`, the time of sending.
5. `orderbook.1` sends nothing but snapshots, the same one (same u) again after 3 s of quiet.
6. The `u` of a REST book counts the 1000-level topic: it cannot be compared with ours.
Sources: bybit-exchange/docs v5 (websocket/public/orderbook, market/orderbook, instrument, tickers); 5 as recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Generic, Literal, TypeVar

import msgspec

from hoga.domain import level_shape
from hoga.domain.errors import FrameError, snippet
from hoga.domain.phases import Phase, phase_of
from hoga.domain.types import NO_SEQ, Instrument, Level, RawDelta, Turnover, Update
from hoga.exchanges.base import BookStart, Channel, Continuity, DataHandler
from hoga.exchanges.bybit.common import DEPTH, book_topic
from hoga.exchanges.decoding import Row, Seq, decode, glanced, rows
from hoga.exchanges.times import Time, epoch_time_ns, moment

PHASES = {
    "Trading": Phase.TRADING,
    "PreLaunch": Phase.PRE_OPEN,
    "Delivering": Phase.HALTED,
    "Closed": Phase.UNLISTED,
    # Of a contract before its launch, the phase of its auction:
    "NotStarted": Phase.PRE_OPEN,
    "CallAuction": Phase.AUCTION,
    "CallAuctionNoCancel": Phase.AUCTION,
    "CrossMatching": Phase.AUCTION,
    "ContinuousTrading": Phase.TRADING,
    "Finished": Phase.UNLISTED,
}
"""`status` and `curAuctionPhase` of instruments; the latter says more where there is one."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

T = TypeVar("T")
U = TypeVar("U")


class Book(msgspec.Struct, Generic[T], gc=False):
    s: str
    b: list[T] | None
    a: list[T] | None
    u: Seq
    ts: Time = msgspec.UNSET
    cts: Time = msgspec.UNSET


class BookFrame(msgspec.Struct, Generic[T], gc=False):
    topic: str
    type: Literal["snapshot", "delta"]
    data: Book[T]
    ts: Time = msgspec.UNSET
    cts: Time = msgspec.UNSET


class RawBook(msgspec.Struct, gc=False):
    s: str
    b: msgspec.Raw
    a: msgspec.Raw
    u: Seq


class RawFrame(msgspec.Struct, gc=False):
    topic: str
    type: str
    data: RawBook
    cts: int = 0


class PriceFilter(msgspec.Struct, frozen=True, gc=False):
    tickSize: str = ""


class LotSizeFilter(msgspec.Struct, frozen=True, gc=False):
    qtyStep: str = ""
    """Of contracts."""
    basePrecision: str = ""
    """Of spot."""


class PreListing(msgspec.Struct, gc=False):
    curAuctionPhase: str = ""


class Market(msgspec.Struct, gc=False):
    symbol: str
    baseCoin: str
    quoteCoin: str
    status: str = ""
    """By default only Trading ones are listed."""
    preListingInfo: PreListing | None = None
    contractType: str = ""
    """LinearPerpetual, LinearFutures, InversePerpetual, InverseFutures; spot has none."""
    deliveryTime: str = "0"
    """Milliseconds; of a perpetual the time of its delisting."""
    priceFilter: PriceFilter = PriceFilter()
    lotSizeFilter: LotSizeFilter = LotSizeFilter()


class DayTicker(msgspec.Struct, gc=False):
    symbol: str
    lastPrice: str
    turnover24h: str


class Rows(msgspec.Struct, Generic[T], gc=False):
    rows: list[T] = msgspec.field(name="list")


class Answer(msgspec.Struct, Generic[T], gc=False):
    """A REST body."""

    result: T
    retCode: int = 0
    retMsg: str = ""


LEVELS = level_shape.rows()
"""How the levels of a frame look."""
_frame = msgspec.json.Decoder(BookFrame[Level])
_raw_frame = msgspec.json.Decoder(RawFrame)
_wide_frame = msgspec.json.Decoder(BookFrame[Row])
_book = msgspec.json.Decoder(Answer[Book[Level]])
_wide_book = msgspec.json.Decoder(Answer[Book[Row]])
_markets = msgspec.json.Decoder(Answer[Rows[Market]])
_tickers = msgspec.json.Decoder(Answer[Rows[DayTicker]])


def _channel(depth: int) -> Channel:
    return Channel(
        name=f"orderbook.{depth}",
        continuity=Continuity.CONSECUTIVE_IDS,
        start=BookStart.IN_BAND,
        depth=depth,
        snapshot_depth=DEPTH,
        blind_spots=(
            f"levels beyond the {depth}th of a side",
            "retail price improvement (RPI) orders are not in the book",
            "that ids are consecutive is observed, not promised",
        ),
    )


CHANNELS = tuple(_channel(depth) for depth in (DEPTH, 1, 50, 500, 1000))


class BybitHandler(DataHandler):
    """Parsing; the markets differ in what they do not show and in reading an id without a list."""

    levels = LEVELS

    def glance(self, frame: bytes) -> RawDelta | None:
        try:
            found = _raw_frame.decode(frame)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        book = found.data
        if found.type != "delta" or book.u == 1 or found.topic != f"orderbook.{DEPTH}.{book.s}":
            return None
        return glanced(book.s, book.u - 1, book.u, found.cts, book.b, book.a)

    def parse(self, frame: bytes) -> list[Update]:
        found = decode(_frame, frame, _wide_frame)
        topic = book_topic(found.topic)
        if topic is None:
            raise FrameError("shape", f"expected an order book, found topic {snippet(found.topic)!r}")
        book = found.data
        whole = found.type == "snapshot" or book.u == 1
        time = moment(epoch_time_ns, found.cts, found.ts)
        return [
            Update(
                native_symbol=book.s,
                snapshot=whole,
                bids=rows(book.b),
                asks=rows(book.a),
                prev_seq=NO_SEQ if whole else book.u - 1,
                seq=book.u,
                exchange_time_ns=time.ns,
                odd_time=time.odd,
                channel=f"orderbook.{topic[1]}",
            )
        ]

    def parse_snapshot(self, native: str, body: bytes) -> Update:
        """Without an id (rule 6)."""
        book = _result(_book, body, _wide_book)
        if book.s != native:
            raise FrameError("symbol", f"asked for {snippet(native)!r}, got the book of {snippet(book.s)!r}")
        time = moment(epoch_time_ns, book.cts, book.ts)
        return Update(
            native_symbol=native,
            snapshot=True,
            bids=rows(book.b),
            asks=rows(book.a),
            exchange_time_ns=time.ns,
            odd_time=time.odd,
        )

    def parse_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        return [_instrument(market) for body in bodies for market in _result(_markets, body).rows]

    def parse_tickers(self, bodies: Sequence[bytes]) -> list[Turnover]:
        return [
            Turnover(ticker.symbol, ticker.lastPrice, ticker.turnover24h)
            for body in bodies
            for ticker in _result(_tickers, body).rows
        ]


def split_ending(market: str, endings: Sequence[str]) -> tuple[str, str]:
    """The id cut before the first of `endings` that it ends in and is longer than; ("", "") where there is none."""
    ending = next((one for one in endings if market.endswith(one) and len(market) > len(one)), "")
    return (market.removesuffix(ending), ending) if ending else ("", "")


def day_of(suffix: str) -> str:
    """The YYMMDD of a contract's suffix: "26DEC25" -> "251226"; anything else stays as it is."""
    day, month, year = suffix[:-5], suffix[-5:-2], suffix[-2:]
    if not ((day + year).isdigit() and day and len(day) <= 2 and month in _MONTHS):
        return suffix
    return f"{year}{_MONTHS.index(month) + 1:02}{day:0>2}"


def _result(
    decoder: msgspec.json.Decoder[Answer[T]], body: bytes, wider: msgspec.json.Decoder[Answer[U]] | None = None
) -> T | U:
    answer = decode(decoder, body, wider)
    if answer.retCode:
        raise FrameError("shape", snippet(f"the exchange answered {answer.retCode} {answer.retMsg}"))
    return answer.result


def _instrument(market: Market) -> Instrument:
    status = (market.preListingInfo and market.preListingInfo.curAuctionPhase) or market.status
    dated = market.contractType.endswith("Futures")
    inverse = market.contractType.startswith("Inverse")
    symbol = f"{market.baseCoin}-{market.quoteCoin}"
    return Instrument(
        symbol=f"{symbol}-{_delivery_day(market)}" if dated else symbol,
        native_symbol=market.symbol,
        base=market.baseCoin,
        quote=market.quoteCoin,
        phase=phase_of(PHASES, status),
        kind="dated" if dated else ("perpetual" if market.contractType else "spot"),
        price_tick=market.priceFilter.tickSize,
        size_step=market.lotSizeFilter.qtyStep or market.lotSizeFilter.basePrecision,
        contract_size="1" if inverse else "",
        contract_currency=market.quoteCoin if inverse else "",
        status=status,
    )


def _delivery_day(market: Market) -> str:
    """YYMMDD of the delivery in UTC; from the id where the list does not say."""
    text = market.deliveryTime
    if text.isascii() and text.isdigit() and len(text) == len("1798185600000"):
        return f"{datetime.fromtimestamp(int(text) // 1000, UTC):%y%m%d}"
    return day_of(market.symbol.rpartition("-")[2])
