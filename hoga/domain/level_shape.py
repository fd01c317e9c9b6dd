"""How an exchange writes the levels of a frame, as data: a book that reads bytes needs to know no more.

    LEVELS = rows()                                             [["61800.2","0.5"], …], a list for each side
    LEVELS = objects("price", "qty", quoted=False)              [{"price":61800.2,"qty":0.5}, …], a list for each side
    LEVELS = sided("side", ("bid", "offer"), "price_level", "new_quantity")       one list of both sides
    LEVELS = units(("bid_price", "bid_size"), ("ask_price", "ask_size"))          a bid and an ask in one object

Rules of reading (`RawBook` in hoga.domain.books):
1. `quoted`: numbers are JSON strings, else they are JSON numbers;
2. further keys of objects are passed over, further elements of rows only where `more` says that there are some;
3. of units, a price or a size of zero is padding.
"""

from __future__ import annotations

from typing import NamedTuple


class LevelShape(NamedTuple):
    kind: str
    quoted: bool = True
    more: bool = False
    price: str = ""
    size: str = ""
    side: str = ""
    bid: str = ""
    ask: str = ""
    bid_price: str = ""
    bid_size: str = ""

    @property
    def one_list(self) -> bool:
        """Whether bids and asks stand in one list: the first of the two that a book is given."""
        return self.kind in ("sided", "units")


def rows(*, quoted: bool = True, more: bool = False) -> LevelShape:
    return LevelShape("rows", quoted, more)


def objects(price: str, size: str, *, quoted: bool = True) -> LevelShape:
    return LevelShape("objects", quoted, price=price, size=size)


def sided(side: str, words: tuple[str, str], price: str, size: str, *, quoted: bool = True) -> LevelShape:
    """`words` are those for bid and ask."""
    return LevelShape("sided", quoted, price=price, size=size, side=side, bid=words[0], ask=words[1])


def units(bid: tuple[str, str], ask: tuple[str, str], *, quoted: bool = False) -> LevelShape:
    """The keys of price and size."""
    return LevelShape("units", quoted, price=ask[0], size=ask[1], bid_price=bid[0], bid_size=bid[1])
