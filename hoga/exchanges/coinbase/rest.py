"""Coinbase's REST bodies: the product book, the products of Advanced Trade and those of Coinbase Pro.

    {"pricebook":{"product_id":"BTC-USD","bids":[{"price":"68923.66","size":"0.17189468"}],"asks":[…],
     "time":"2026-04-07T00:28:59.662782Z"},"last":…}
    {"products":[{"product_id":"BTC-USD","price":"68925.98","status":"online","alias":"","alias_to":["BTC-USDC"],…}]}
    [{"id":"BTC-GBP","base_currency":"BTC","quote_currency":"GBP","status":"online",…}]

1. The product book has no id: it can be compared with the stream, not joined to it. Public answers may be a second old.
2. Only spot products are listed here; futures have contracts, sessions and no base currency of their own.
3. A product with `alias` has no book of its own (it is that of the alias) and is left out.
"""

from __future__ import annotations

import msgspec

from hoga.domain.errors import FrameError, snippet
from hoga.domain.phases import Phase
from hoga.domain.types import Instrument, Turnover, Update
from hoga.exchanges.decoding import check_levels, decode
from hoga.exchanges.times import Time, moment, rfc3339_ns

API = "/api/v3/brokerage/market"
DEPTH = 250
"""Levels a side to ask for. No greatest limit is documented; 250 is the least that is told of."""
PHASES = {
    "delisted": Phase.UNLISTED,
    "offline": Phase.HALTED,
    "internal": Phase.HALTED,
    "trading_disabled": Phase.HALTED,
    "is_disabled": Phase.HALTED,
    "view_only": Phase.HALTED,
    "cancel_only": Phase.HALTED,
    "auction_mode": Phase.AUCTION,
    "post_only": Phase.POST_ONLY,
    "limit_only": Phase.LIMIT_ONLY,
    "online": Phase.TRADING,
}
"""`status` of products, and their flags. Several may hold: the first of this table counts."""


class PriceLevel(msgspec.Struct, gc=False):
    price: str
    size: str


class PriceBook(msgspec.Struct, gc=False):
    product_id: str
    bids: list[PriceLevel] | None
    asks: list[PriceLevel] | None
    time: Time = msgspec.UNSET


class BookAnswer(msgspec.Struct, gc=False):
    pricebook: PriceBook


class Flags(msgspec.Struct, gc=False, kw_only=True):
    """What may restrict a product, in every list and message of products."""

    status: str = ""
    trading_disabled: bool = False
    is_disabled: bool = False
    view_only: bool = False
    cancel_only: bool = False
    limit_only: bool = False
    post_only: bool = False
    auction_mode: bool = False

    @property
    def words(self) -> list[str]:
        """Those of `PHASES` that hold, in its order."""
        return [word for word in PHASES if self.status == word or getattr(self, word, False) is True]

    @property
    def phase(self) -> Phase:
        return next((PHASES[word] for word in self.words), Phase.UNKNOWN)

    @property
    def said(self) -> str:
        """For people."""
        return ", ".join([self.status, *(word.replace("_", " ") for word in self.words if word != self.status)])


class Product(Flags, gc=False):
    product_id: str
    base_currency_id: str = ""
    quote_currency_id: str = ""
    product_type: str = "SPOT"
    alias: str | None = ""
    price: str = ""
    approximate_quote_24h_volume: str = ""
    price_increment: str = ""
    quote_increment: str = ""
    base_increment: str = ""


class ProProduct(
    Flags,
    gc=False,
    rename={"product_id": "id", "base_currency_id": "base_currency", "quote_currency_id": "quote_currency"},
):
    product_id: str
    base_currency_id: str
    quote_currency_id: str
    price_increment: str = ""
    quote_increment: str = ""
    base_increment: str = ""


class Products(msgspec.Struct, gc=False):
    products: list[Product]


class ErrorItem(msgspec.Struct, gc=False):
    id: str = ""
    message: str = ""


class Failure(msgspec.Struct, gc=False):
    error: str = ""
    message: str = ""
    error_details: str = ""
    errors: list[ErrorItem] = []


_book = msgspec.json.Decoder(BookAnswer)
_products = msgspec.json.Decoder(Products)
_lists = msgspec.json.Decoder(Products | list[ProProduct])
_failure = msgspec.json.Decoder(Failure)


def snapshot(native: str, body: bytes) -> Update:
    """The product book as an update without ids; FrameError("symbol") where it is another product's."""
    book = decode(_book, body).pricebook
    if book.product_id != native:
        raise FrameError("symbol", f"asked for the book of {native!r}, found that of {snippet(book.product_id)!r}")
    time = moment(rfc3339_ns, book.time)
    return Update(
        native_symbol=native,
        snapshot=True,
        bids=check_levels([(level.price, level.size) for level in book.bids or ()]),
        asks=check_levels([(level.price, level.size) for level in book.asks or ()]),
        exchange_time_ns=time.ns,
        odd_time=time.odd,
    )


def instruments(body: bytes) -> list[Instrument]:
    listed = decode(_lists, body)
    if isinstance(listed, Products):
        return [_instrument(product) for product in _own_books(listed)]
    return [_instrument(product) for product in listed]


def turnovers(body: bytes) -> list[Turnover]:
    return [
        Turnover(product.product_id, product.price, product.approximate_quote_24h_volume)
        for product in _own_books(decode(_products, body))
    ]


def error(body: bytes) -> str | None:
    """The error in a body; None where it holds none."""
    if not body.startswith((b'{"error', b'{"message"', b'{"code"')):
        return None
    try:
        failure = _failure.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    found = [failure.error, *(item.id for item in failure.errors)]
    found += [failure.message or failure.error_details, *(item.message for item in failure.errors)]
    return snippet(" ".join(word for word in found if word)) or None


def _own_books(listed: Products) -> list[Product]:
    return [product for product in listed.products if product.product_type == "SPOT" and not product.alias]


def _instrument(product: Product | ProProduct) -> Instrument:
    return Instrument(
        symbol=f"{product.base_currency_id}-{product.quote_currency_id}",
        native_symbol=product.product_id,
        base=product.base_currency_id,
        quote=product.quote_currency_id,
        phase=product.phase,
        price_tick=product.price_increment or product.quote_increment,
        size_step=product.base_increment,
        status=product.said,
    )
