"""What Kraken's frames are about, for those that need a look inside: acknowledgements, refusals, heartbeats.

v2:
    {"method":"subscribe","req_id":1,"result":{"channel":"book","depth":100,"snapshot":true,"symbol":"BTC/USD"},
     "success":true,"time_in":"…","time_out":"…"}
    {"error":"Currency pair not supported XYZ/USD","method":"subscribe","req_id":1,"success":false,"symbol":"XYZ/USD",…}
v1 (recorded):
    {"channelID":992,"channelName":"book-1000","event":"subscriptionStatus","pair":"XMR/USD","status":"subscribed",
     "subscription":{"depth":1000,"name":"book"}}

A phase of the whole exchange is told to every connection when it opens, and at every change (v2 and, recorded, v1):
    {"channel":"status","type":"update","data":[{"system":"online","api_version":"v2","connection_id":1,"version":"2.0.9"}]}
    {"connectionID":8628615390848610000,"event":"systemStatus","status":"online","version":"1.9.1"}
and phases of pairs in the channel `instrument`, which we do not subscribe: it brings every pair to every connection.

Only the book and phases are ours: what answers for another channel is OTHER.
"""

from __future__ import annotations

import msgspec

from hoga.domain.errors import snippet
from hoga.domain.phases import Told, phase_of
from hoga.exchanges.base import ALIVE, OTHER, UNKNOWN, Route, RouteKind
from hoga.exchanges.decoding import decode
from hoga.exchanges.kraken.lists import PHASES
from hoga.exchanges.kraken.names import native_of

PHASE = Route(RouteKind.PHASE)
_PHASES = ("status", "instrument")
"""Channels."""


class Params(msgspec.Struct, gc=False):
    """Of a v2 request, or the result in its answer."""

    channel: str = ""
    symbol: str | list[str] = ""


class Subscription(msgspec.Struct, gc=False):
    """Of a v1 request and of its answer."""

    name: str = ""


class Control(msgspec.Struct, gc=False):
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    method: str = ""
    params: Params | None = None
    result: Params | None = None
    success: bool | None = None
    error: str = ""
    Error: str = ""
    symbol: str = ""
    req_id: int | None = None
    event: str = ""
    status: str = ""
    pair: str | list[str] = ""
    subscription: Subscription | None = None
    errorMessage: str = ""
    reqid: int | None = None


class Named(msgspec.Struct, gc=False):
    symbol: str


class System(msgspec.Struct, gc=False):
    system: str


class PairStatus(msgspec.Struct, gc=False):
    symbol: str
    status: str


class Instruments(msgspec.Struct, gc=False):
    pairs: list[PairStatus] = []


_control = msgspec.json.Decoder(Control)
_systems = msgspec.json.Decoder(list[System])
_instruments = msgspec.json.Decoder(Instruments)
_named = msgspec.json.Decoder(list[Named])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)


def route_slowly(frame: bytes) -> Route:
    """The route of any frame; never raises."""
    try:
        if frame.lstrip()[:1] == b"[":
            return _route_array(frame)
        control = _control.decode(frame)
        if control.channel == "book":
            natives = tuple(dict.fromkeys(named.symbol for named in _named.decode(control.data)))
            return Route(RouteKind.BOOK, natives) if natives and all(natives) else UNKNOWN
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return UNKNOWN
    if control.channel in _PHASES or control.event == "systemStatus":
        return PHASE
    if control.channel:
        return ALIVE if control.channel == "heartbeat" else OTHER
    return _route_v1(control) if control.event else _route_answer(control)


def phases(frame: bytes) -> list[Told]:
    """What a status frame says of the exchange or of its pairs."""
    control = decode(_control, frame)
    if control.event == "systemStatus":
        return [Told(phase_of(PHASES, control.status), control.status)]
    if control.channel == "status":
        return [Told(phase_of(PHASES, one.system), one.system) for one in decode(_systems, bytes(control.data))]
    pairs = decode(_instruments, bytes(control.data)).pairs
    return [Told(phase_of(PHASES, pair.status), pair.status, native_of(pair.symbol)) for pair in pairs]


def _route_array(frame: bytes) -> Route:
    pieces = _array.decode(frame)
    if len(pieces) < 3:
        return UNKNOWN
    channel, pair = _text.decode(pieces[-2]), _text.decode(pieces[-1])
    return Route(RouteKind.BOOK, (native_of(pair),)) if channel.startswith("book-") and pair else OTHER


def _route_v1(control: Control) -> Route:
    if control.event in ("heartbeat", "pong"):
        return ALIVE
    pairs = [control.pair] if isinstance(control.pair, str) else control.pair
    symbols = tuple(native_of(pair) for pair in pairs if pair)
    if control.status == "error" or control.event == "error":
        return Route(RouteKind.REFUSED, symbols, control.reqid, snippet(control.errorMessage))
    if control.event != "subscriptionStatus" or (control.subscription and control.subscription.name != "book"):
        return OTHER
    return Route(RouteKind.ACK, symbols, control.reqid)


def _route_answer(control: Control) -> Route:
    if control.method == "pong":
        return ALIVE
    told = control.result
    symbol = control.symbol or (told.symbol if told and isinstance(told.symbol, str) else "")
    symbols = (symbol,) if symbol else ()
    error = control.error or control.Error
    if error or control.success is False:
        return Route(RouteKind.REFUSED, symbols, control.req_id, snippet(error))
    if control.success and control.method:
        return OTHER if told and told.channel != "book" else Route(RouteKind.ACK, symbols, control.req_id)
    return UNKNOWN
