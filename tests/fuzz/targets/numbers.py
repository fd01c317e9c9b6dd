"""Decimal text, and books of such text over the wire.

number  a text: read by the rule, by `Decimal`, and by every class of book, which have to agree
wire    lines `b PRICE SIZE` and `a PRICE SIZE`: what a book holds of them crosses the wire and is read exactly
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from decimal import Context, Decimal, InvalidOperation
from random import Random

from hoga.client.book import BookView
from hoga.domain import books as classes
from hoga.domain.errors import FrameError
from hoga.domain.numbers import MAX_CHARS, MAX_DECIMALS, MAX_WHOLE, FinerError, is_zero, parse, scale, text_of
from hoga.domain.types import Level
from hoga.wire import books, columns, pb
from tests.fuzz import promises
from tests.fuzz.inputs.mutate import edit_bytes
from tests.fuzz.target import Target, promise

_EXACT = Context(prec=400)
_FINEST = Decimal(1).scaleb(-MAX_DECIMALS)
_TEXTS = (b"98765432101234567890.123456789012345678", b"1.7e-7", b"250000000000", b"0E-8", b"1.16539E8", b"0.00000001")
_PIECES = (*_TEXTS, b"0", b"0" * 9, b"9", b"9" * 19, b".", b"e", b"E-18", b"e+19", b"-", b"+", b" ", b"\n")


def targets() -> Iterator[Target]:
    yield Target("number", _number, lambda: list(_TEXTS), _edit_number, suite_runs=1500)
    yield Target("wire", _wire, _books, _edit_number, suite_runs=400)


def _number(data: bytes) -> Hashable:
    text = data.decode("utf-8", "replace")
    try:
        mantissa, decimals = parse(text)
    except FrameError as error:
        promises.refused(error)
        promise(not _documented(text), f"{text!r} is refused: {error}")
        promise(not _taken(text, decimals=0), f"{text!r} is scaled, but not parsed")
        _agree([(text, "1")])
        return "refused"
    promise(_documented(text), f"{text!r} is taken")
    promise(_EXACT.scaleb(Decimal(text), decimals) == mantissa, f"{text!r} is read as {mantissa} / 10^{decimals}")
    promise(decimals == 0 or mantissa % 10 > 0, f"{text!r} has more decimals than it needs")
    promise(is_zero(text) == (mantissa == 0) or not text.startswith("0"), f"whether {text!r} is zero")
    promise(parse(text_of(mantissa, decimals)) == (mantissa, decimals), f"{text!r} is not what its text says")
    for column in (0, decimals, MAX_DECIMALS):
        promise(_taken(text, column) == (column >= decimals), f"{text!r} with {column} decimals")
    _agree([(text, text)])
    return mantissa == 0, decimals, len(str(mantissa)), "e" in text.lower()


def _documented(text: str) -> bool:
    """By the rule's words, read with `Decimal` (which takes more: a plus, ".5", "5.")."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = mantissa.removeprefix("-")
    plain = text.isascii() and not set(text) - set("0123456789.eE+-") and len(text) <= MAX_CHARS
    if not plain or not digits[:1].isdigit() or not digits[-1:].isdigit() or len(exponent.lstrip("+-")) > 3:
        return False
    try:
        value = Decimal(text)
    except InvalidOperation:
        return False
    decimals = len(digits.partition(".")[2]) - int(exponent or 0)
    if not value or abs(decimals) > MAX_CHARS:
        return not value
    return 0 < value < 10**MAX_WHOLE and value == value.quantize(_FINEST, context=_EXACT)


def _taken(text: str, decimals: int) -> bool:
    try:
        found = scale(text, decimals)
    except (FrameError, FinerError):
        return False
    promise(_EXACT.scaleb(Decimal(text), decimals) == found < 10**38, f"{text!r} is scaled to {found}")
    return True


def _agree(levels: list[Level]) -> None:
    """Every class of book takes the levels or none does, and they hold the same."""
    found = set()
    for word, make in classes.CLASSES.items():
        book = make()
        try:
            book.replace(levels, [])
        except FrameError as error:
            found.add(f"refused: {error.reason}")
        else:
            promises.book(book)
            found.add(repr(book.texts(9)))
        promise(len(found) == 1, f"{word} differs: {found} of {levels!r}")


def _wire(data: bytes) -> Hashable:
    bids, asks = _levels(data, "b"), _levels(data, "a")
    outcomes: list[Hashable] = []
    for make in classes.CLASSES.values():
        book = make()
        try:
            book.replace(bids, asks)
        except FrameError as error:
            outcomes.append(promises.refused(error))
            continue
        message = pb.OrderBook(bids_known=book.bid_count, asks_known=book.ask_count)
        top = (*book.top_bids(book.bid_count), *book.top_asks(book.ask_count))
        columns.write(message, columns.Columns(*top, -book.price_decimals, -book.size_decimals))
        payload = message.SerializeToString()
        promises.published(pb.OrderBook.FromString(payload))
        held = book.texts(max(book.bid_count, book.ask_count))
        promise(books.levels(message) == held, "other levels than the book's are read")
        view = BookView.decode(payload)
        for shown, own in zip((view.bids, view.asks), held, strict=True):
            promise(shown == [(Decimal(price), Decimal(size)) for price, size in own], "the view shows other levels")
        form = message.price_exponent, message.size_exponent, bool(message.bid_size or message.ask_size)
        outcomes.append((form, bool(message.bid_price or message.ask_price), book.bid_count > 0, book.ask_count > 0))
    promise(len(set(outcomes)) == 1, f"classes of books differ: {outcomes}")
    return outcomes[0]


def _levels(data: bytes, side: str) -> list[Level]:
    rows = [line.split(" ") for line in data.decode("utf-8", "replace").split("\n")]
    return [(row[1], row[2]) for row in rows if len(row) == 3 and row[0] == side]


def _books() -> list[bytes]:
    return [
        b"b 100.5 1\nb 100.25 2.5\na 101 3\na 102.125 0.00000001",
        b"b 0.0005 12345.12345678\nb 0.00049 2.5E11\na 0.00051 1.5E11\na 0.00052 98765432101234567",
        b"b 3 250000000000000000000e-1\na 4 70000000000000000000",
        b"a 99999999999999999999.999999999999999999 1\nb 0.000000000000000001 99999999999999999999",
    ]


def _edit_number(data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
    if chance.random() < 0.4:
        return edit_bytes(data, chance, pool)
    place = chance.randrange(len(data) + 1)
    piece = chance.choice(_PIECES)
    return data[:place] + piece + data[place + chance.choice((0, 0, 1, 2, 9)) :]
