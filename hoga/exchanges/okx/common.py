"""What OKX spot and derivatives share: one address, one protocol, the channel `books` and the lists.

    {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["78729.9","0","0","0"]],
     "bids":[],"ts":"1787612486207","checksum":0,"seqId":80274874876,"prevSeqId":80274874800}]}

1. A level is [price, absolute size, "0", number of orders]; size "0" deletes, also what is not there.
2. The first frame is a snapshot (prevSeqId -1). Each update names the frame before it: prevSeqId == last seqId.
   Ids jump; every connection gets the same ones.
3. About a minute without a change: an update without levels, prevSeqId == seqId.
4. Ids may begin anew after maintenance: an update with seqId < prevSeqId, which itself still follows on the last.
5. Recordings from before 2023 have no ids but a checksum over the best 25 levels a side. Later frames had both; since
   June 2026 `checksum` is always 0, which means none.
6. Spot, swaps and futures share the address, so that one recorded connection may mix them. Frames are routed by their
   instId whatever it is, and each of our two codes gives its own kind the plain symbol (`normalize_symbol`).

7. The channels `instruments` (of one type; changes of state among others) and `status` (maintenance of whole services)
   tell phases. They are subscribed once for each connection.

Sources: okx.com/docs-v5 (order book channel, WebSocket overview, error codes); recordings of 2022 and 2026.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec

from hoga.domain import level_shape
from hoga.domain.errors import FrameError, snippet
from hoga.domain.phases import Told
from hoga.domain.types import NO_SEQ, Instrument, Level, RawDelta, Turnover, Update
from hoga.exchanges.base import (
    ALIVE,
    OTHER,
    UNKNOWN,
    BookStart,
    Channel,
    Checksum,
    ConnectionStrategy,
    Continuity,
    DataHandler,
    Endpoints,
    Limits,
    RestKind,
    RestMatch,
    RestRequest,
    Route,
    RouteKind,
)
from hoga.exchanges.decoding import Seq, check_levels, decode, glanced, json_string, path_and_query
from hoga.exchanges.okx import lists
from hoga.exchanges.times import Time, epoch_time_ns, moment

HOSTS = (".okx.com", ".okex.com")
DEPTH = 400
_STREAMS = {"books": DEPTH, "books-l2-tbt": DEPTH, "books50-l2-tbt": 50}
"""Channels of this protocol -> levels a side. We subscribe the first; the others are found in recordings."""
_CLOSING = "64008"
_GREETING = "phases"
"""The id of the request of rule 7, whose answers are none of a book's."""
_HEAD = b'{"arg":{"channel":"books","instId":"'
_NAMED = re.compile(r'instId"?\s*:\s*"?([^\s",}]+)| for (\S+) is not allowed')
"""How an error message names instruments: `channel:books,instId:X doesn't exist`, or the request as it was sent."""


class Row(msgspec.Struct, array_like=True, gc=False):
    """The beginning of a level; what else it holds is of no interest."""

    px: str
    sz: str


class Book(msgspec.Struct, gc=False):
    asks: list[Row] | None
    bids: list[Row] | None
    ts: Time
    checksum: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)] = 0
    seqId: Seq | None = None
    prevSeqId: Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)] | None = None


class Arg(msgspec.Struct, gc=False):
    channel: str = ""
    instId: str = ""


class Frame(msgspec.Struct, gc=False):
    arg: Arg
    action: Literal["snapshot", "update"]
    data: list[Book]


class RawBook(msgspec.Struct, gc=False):
    asks: msgspec.Raw
    bids: msgspec.Raw
    ts: str
    seqId: Seq
    prevSeqId: int


class RawFrame(msgspec.Struct, gc=False):
    arg: Arg
    action: str
    data: list[RawBook]


class Snapshot(msgspec.Struct, gc=False):
    data: list[Book]


class Control(msgspec.Struct, gc=False):
    """Everything else: acks, errors, notices, and the heads of frames."""

    event: str = ""
    arg: Arg | None = None
    id: str | int | None = None
    code: str | int = ""
    msg: str = ""


LEVELS = level_shape.rows(more=True)
"""How the levels of a frame look."""
_frame = msgspec.json.Decoder(Frame)
_raw_frame = msgspec.json.Decoder(RawFrame)
_snapshot = msgspec.json.Decoder(Snapshot)
_control = msgspec.json.Decoder(Control)


class OkxStrategy(ConnectionStrategy):
    """Requests and routing; the codes differ in the instrument types they ask for."""

    endpoints = Endpoints(ws="wss://ws.okx.com:8443", rest="https://www.okx.com")
    limits = Limits(
        symbols_per_link=29,  # "less than 30" deep books are recommended
        symbols_per_request=29,  # 64 KB documented; this is 2 KB
        messages_per_s=2.0,
        requests_per_hour=480,  # to subscribe and unsubscribe; pings do not count
        connects_per_s=0.75,  # 3 for each address, which both codes and a second line of each may share
        idle_timeout_s=15.0,  # it answers our pings; the server closes after 30 s without data
        rest_weight_per_minute=600,  # 40 in 2 s for books and 20 for the lists, likewise shared
        rest_min_interval_s=0.1,
    )
    heartbeat_s = 5.0
    kinds: tuple[str, ...] = ()
    """The instrument types of this code, as the exchange names them."""

    def ws_url(self, endpoints: Endpoints) -> str:
        return f"{endpoints.ws}/ws/v5/public"

    def greeting(self, now_ns: int) -> list[str]:
        args = [{"channel": "status"}, *({"channel": "instruments", "instType": kind} for kind in self.kinds)]
        return [msgspec.json.encode({"id": _GREETING, "op": "subscribe", "args": args}).decode()]

    def heartbeat(self, now_ns: int) -> str | None:
        return "ping"

    def probe(self, now_ns: int) -> str | None:
        return "ping"

    def subscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str:
        return _request("subscribe", natives, request_id)

    def unsubscribe(self, natives: Sequence[str], request_id: int, now_ns: int) -> str | None:
        return _request("unsubscribe", natives, request_id)

    def route(self, frame: bytes) -> Route:
        # The usual frame needs no parse: the channel and the instrument stand at its start.
        if frame.startswith(_HEAD) and b'"action":"' in frame[:192]:
            native = json_string(frame, len(_HEAD))
            if native:
                return Route(RouteKind.BOOK, (native,))
        if frame == b"pong":
            return ALIVE
        return _route_slowly(frame)

    def snapshot_request(self, native: str) -> RestRequest:
        return RestRequest(f"/api/v5/market/books?instId={quote(native)}&sz={DEPTH}")

    def instruments_requests(self) -> list[RestRequest]:
        return [RestRequest(f"/api/v5/public/instruments?instType={kind}", 2) for kind in self.kinds]

    def tickers_requests(self, natives: Sequence[str]) -> list[RestRequest]:
        return [RestRequest(f"/api/v5/market/tickers?instType={kind}", 2) for kind in self.kinds]

    def match_rest(self, url: str) -> RestMatch | None:
        path, query = path_and_query(url)
        if path.endswith("/market/books") and "instId" in query:
            levels = query.get("sz", "")
            limit = int(levels) if re.fullmatch("[0-9]{1,4}", levels) else 1
            return RestMatch(RestKind.SNAPSHOT, query["instId"], limit)
        if query.get("instType") not in lists.KINDS:
            return None
        if path.endswith("/public/instruments"):
            return RestMatch(RestKind.INSTRUMENTS)
        return RestMatch(RestKind.TICKERS) if path.endswith("/market/tickers") else None

    def rest_error(self, body: bytes) -> str | None:
        if body.startswith(b'{"code":"0"'):
            return None
        try:
            failure = _control.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        return snippet(f"{failure.code} {failure.msg}") if str(failure.code) not in ("", "0") else None


def signed_crc32(bids: list[Level], asks: list[Level]) -> int:
    """The checksum of rule 5: `bid:size:ask:size:…` level by level, a missing side skipped; CRC32 as a signed int32."""
    parts: list[str] = []
    for place in range(max(len(bids), len(asks))):
        for side in (bids, asks):
            if place < len(side):
                parts += side[place]
    value = zlib.crc32(":".join(parts).encode())
    return value - (1 << 32) if value >= 1 << 31 else value


def _channel(name: str, depth: int, continuity: Continuity = Continuity.LINKED_IDS) -> Channel:
    return Channel(
        name=name,
        continuity=continuity,
        start=BookStart.IN_BAND,
        depth=depth,
        snapshot_depth=DEPTH,
        blind_spots=(
            f"levels beyond the {depth}th of a side",
            "changes are gathered over 100 ms, over about a second during call auctions",
            "enhanced liquidity (ELP) orders are not in the public book",
        ),
        checksum=Checksum(levels=25, compute=signed_crc32),
    )


_SUMMED = " without ids"
CHANNELS = (
    *(_channel(name, depth) for name, depth in _STREAMS.items()),
    *(_channel(name + _SUMMED, depth, Continuity.CHECKSUM) for name, depth in _STREAMS.items()),
)
"""Rule 5: frames without ids are a channel of their own."""


class OkxHandler(DataHandler):
    """Parsing; the codes differ in which kind of instrument has the plain symbol."""

    levels = LEVELS

    def glance(self, frame: bytes) -> RawDelta | None:
        try:
            found = _raw_frame.decode(frame)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        if found.arg.channel != "books" or found.action != "update" or len(found.data) != 1:
            return None
        book = found.data[0]
        time_ms = int(book.ts) if len(book.ts) == 13 and book.ts.isascii() and book.ts.isdigit() else None
        return glanced(found.arg.instId, book.prevSeqId, book.seqId, time_ms, book.bids, book.asks)

    def parse(self, frame: bytes) -> list[Update]:
        found = decode(_frame, frame)
        if found.arg.channel not in _STREAMS or not found.arg.instId:
            raise FrameError("shape", f"no frame of a book channel: {snippet(frame)}")
        whole = found.action == "snapshot"
        if not whole and any((book.seqId is None) != (book.prevSeqId is None) for book in found.data):
            raise FrameError("shape", f"one of prevSeqId and seqId is missing: {snippet(frame)}")
        return [_update(found.arg.instId, whole, book, found.arg.channel) for book in found.data]

    def parse_phases(self, frame: bytes) -> list[Told]:
        return lists.phases(frame)

    def parse_snapshot(self, native: str, body: bytes) -> Update:
        found = decode(_snapshot, body).data
        if len(found) != 1:
            raise FrameError("shape", f"{len(found)} books instead of one: {snippet(body)}")
        return _update(native, True, found[0], "")

    def parse_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        return [
            lists.instrument(listed, self.normalize_symbol(listed.instId))
            for body in bodies
            for listed in lists.instruments(body)
        ]

    def parse_tickers(self, bodies: Sequence[bytes]) -> list[Turnover]:
        return [turnover for body in bodies for turnover in lists.turnovers(body)]


def _update(native: str, whole: bool, book: Book, channel: str) -> Update:
    time = moment(epoch_time_ns, book.ts)
    return Update(
        native_symbol=native,
        snapshot=whole,
        bids=check_levels([(row.px, row.sz) for row in book.bids or ()]),
        asks=check_levels([(row.px, row.sz) for row in book.asks or ()]),
        prev_seq=NO_SEQ if book.prevSeqId is None else book.prevSeqId,
        seq=NO_SEQ if book.seqId is None else book.seqId,
        exchange_time_ns=time.ns,
        odd_time=time.odd,
        checksum=book.checksum or None,
        channel=channel + _SUMMED if channel and book.seqId is None else channel,
    )


def _request(operation: str, natives: Sequence[str], request_id: int) -> str:
    if not natives:
        raise ValueError(f"{operation} needs at least one symbol")
    args = [{"channel": "books", "instId": native} for native in natives]
    return msgspec.json.encode({"id": str(request_id), "op": operation, "args": args}).decode()


def _route_slowly(frame: bytes) -> Route:
    try:
        control = _control.decode(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return UNKNOWN
    arg = control.arg or Arg()
    natives = (arg.instId,) if arg.instId else ()
    match control.event:
        case "subscribe" | "error" if control.id == _GREETING:
            return OTHER
        case "" if arg.channel in lists.PHASE_CHANNELS:
            return Route(RouteKind.PHASE)
        case "":
            if natives and arg.channel in _STREAMS:
                return Route(RouteKind.BOOK, natives)
            return OTHER if arg.channel else UNKNOWN
        case "subscribe" | "unsubscribe":
            return Route(RouteKind.ACK, natives, _number(control.id))
        case "error":
            # Each arg of a request is answered by itself; an error of the whole request quotes it.
            named = natives or tuple(dict.fromkeys(a or b for a, b in _NAMED.findall(control.msg)))
            return Route(RouteKind.REFUSED, named, _number(control.id), snippet(f"{control.code} {control.msg}"))
        case "notice" if str(control.code) == _CLOSING:
            return Route(RouteKind.CLOSING, detail=snippet(control.msg))
        case "notice" | "login" | "channel-conn-count" | "channel-conn-count-error":
            return OTHER
    return UNKNOWN


def _number(value: str | int | None) -> int | None:
    """Our request id as the exchange echoes it; recordings of others may hold any text."""
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value) else None
