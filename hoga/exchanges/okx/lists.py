"""OKX's lists: instruments and 24 h figures, of spot, swaps and futures alike.

Figures in swaps and futures are contracts and coins: a contract stands for `ctVal * ctMult` units of `ctValCcy` (the
base of a linear contract, the quote of an inverse one), and `volCcy24h` counts base coins, so that the turnover is
`volCcy24h * last`. In spot `volCcy24h` is the turnover. Products are exact: decimal text in, decimal text out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Context, Decimal

import msgspec

from hoga.domain.errors import FrameError, snippet
from hoga.domain.numbers import epoch_ns
from hoga.domain.phases import Phase, Told, phase_of
from hoga.domain.types import Instrument, Turnover
from hoga.exchanges.decoding import decode

KINDS = {"SPOT": "spot", "SWAP": "perpetual", "FUTURES": "dated"}
PHASES = {
    "live": Phase.TRADING,
    "preopen": Phase.PRE_OPEN,
    "call_auction": Phase.AUCTION,
    "pre_quote": Phase.PRE_OPEN,
    "continuous_trading": Phase.TRADING,
    "ongoing": Phase.MAINTENANCE,
    "pre_open": Phase.POST_ONLY,
    "completed": Phase.TRADING,
    "canceled": Phase.TRADING,
    "post_only": Phase.POST_ONLY,
    "suspend": Phase.HALTED,
    "rebase": Phase.HALTED,
    "test": Phase.HALTED,
    "expired": Phase.UNLISTED,
}
"""`state` of instruments, `openType` of those that are live but do not yet trade continuously (`contTdSwTime`), `state`
of call auctions, and `state` of the maintenance of all trading (before its end only post-only orders are taken)."""
PHASE_CHANNELS = ("instruments", "call-auction-details", "status")
_ALL_TRADING = "1"
"""`serviceType` of a maintenance that concerns every market; others concern some, or none."""
_PRODUCTION = "1"
_OPENINGS = ("call_auction", "pre_quote")
_PLAIN = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?\Z", re.ASCII)
_EXACT = Context(prec=120)


class Listed(msgspec.Struct, gc=False):
    instId: str
    instType: str = ""
    baseCcy: str = ""
    quoteCcy: str = ""
    uly: str = ""
    instFamily: str = ""
    ctVal: str = ""
    ctMult: str = ""
    ctValCcy: str = ""
    tickSz: str = ""
    lotSz: str = ""
    state: str = ""
    openType: str = ""
    contTdSwTime: str = ""


class Maintenance(msgspec.Struct, gc=False):
    state: str = ""
    serviceType: str = ""
    env: str = _PRODUCTION
    end: str = ""
    preOpenBegin: str = ""


class Channel(msgspec.Struct, gc=False):
    channel: str = ""


class Pushed(msgspec.Struct, gc=False):
    arg: Channel
    data: msgspec.Raw


class Listings(msgspec.Struct, gc=False):
    data: list[Listed]


class Ticker(msgspec.Struct, gc=False):
    instId: str
    instType: str = ""
    last: str = ""
    volCcy24h: str = ""


class Tickers(msgspec.Struct, gc=False):
    data: list[Ticker]


_listings = msgspec.json.Decoder(Listings)
_pushed = msgspec.json.Decoder(Pushed)
_rows = msgspec.json.Decoder(list[Listed])
_maintenances = msgspec.json.Decoder(list[Maintenance])
_tickers = msgspec.json.Decoder(Tickers)


def instruments(body: bytes) -> Iterator[Listed]:
    """What a list holds of the kinds we know; what has no name is no market."""
    return (listed for listed in decode(_listings, body).data if listed.instType in KINDS and listed.instId)


def instrument(listed: Listed, symbol: str) -> Instrument:
    """A derivative whose contract value cannot be read counts as halted: nobody could tell what its sizes mean."""
    word, until_ns = opening(listed)
    base, quote, size, readable = listed.baseCcy, listed.quoteCcy, "", True
    if listed.instType != "SPOT":
        # Swaps and futures leave baseCcy and quoteCcy empty; the family may be BTC-USD_UM (margined in USD).
        base, _, rest = (listed.instFamily or listed.uly).partition("-")
        quote = rest.partition("_")[0]
        readable = bool(_PLAIN.match(listed.ctVal) and _PLAIN.match(listed.ctMult or "1") and listed.ctValCcy)
        size = product(listed.ctVal, listed.ctMult or "1") if readable else ""
    return Instrument(
        symbol=symbol,
        native_symbol=listed.instId,
        base=base,
        quote=quote,
        phase=phase_of(PHASES, word) if readable else Phase.HALTED,
        kind=KINDS[listed.instType],
        price_tick=listed.tickSz,
        size_step=listed.lotSz,
        contract_size=size,
        contract_currency=listed.ctValCcy if size else "",
        status=word if readable else f"{word}, contract value unreadable",
        phase_until_ns=until_ns,
    )


def phases(frame: bytes) -> list[Told]:
    """What a frame of one of the `PHASE_CHANNELS` says."""
    pushed = decode(_pushed, frame)
    if pushed.arg.channel == "status":
        return [told for row in decode(_maintenances, bytes(pushed.data)) if (told := _maintenance(row)) is not None]
    found = []
    for listed in decode(_rows, bytes(pushed.data)):
        word, until_ns = opening(listed)
        if listed.instId:
            found.append(Told(phase_of(PHASES, word), word, listed.instId, until_ns))
    return found


def _maintenance(row: Maintenance) -> Told | None:
    """A maintenance ends at its time even without a message: one that a lost connection missed is not repeated."""
    if row.serviceType != _ALL_TRADING or row.env != _PRODUCTION or row.state not in PHASES:
        return None
    end = row.end if re.fullmatch("[0-9]{13}", row.end) else ""
    if not PHASES[row.state].matches and not end:
        return None
    return Told(PHASES[row.state], row.state, "", epoch_ns(int(end)) if end else 0)


def opening(listed: Listed) -> tuple[str, int]:
    """The word for the phase of an instrument, and until when it holds, nanoseconds; 0 where nobody says. One that is
    live may still be in the auction or the quoting that its continuous trading begins with."""
    if listed.state == "live" and listed.openType in _OPENINGS and re.fullmatch("[0-9]{13}", listed.contTdSwTime):
        return listed.openType, epoch_ns(int(listed.contTdSwTime))
    return listed.state, 0


def turnovers(body: bytes) -> Iterator[Turnover]:
    """The figures of every market that has traded."""
    for ticker in decode(_tickers, body).data:
        if ticker.instType not in KINDS or not ticker.last:
            continue
        volume = ticker.volCcy24h or "0"
        turnover = volume if ticker.instType == "SPOT" else product(volume, ticker.last)
        yield Turnover(ticker.instId, ticker.last, turnover)


def product(one: str, other: str) -> str:
    """The exact product of two plain decimal numbers, as plain text without trailing zeros."""
    if not (_PLAIN.match(one) and _PLAIN.match(other)):
        raise FrameError("number", f"not decimal numbers: {snippet(one)!r} and {snippet(other)!r}")
    text = format(_EXACT.multiply(Decimal(one), Decimal(other)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
