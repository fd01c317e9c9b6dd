"""A finer price tick and size step for a market at work, as exchanges announce it now and then.

1. Prices become finer by some decimal places. Sizes too, where the exchange leaves them room: where it writes a fixed
   number of decimals and the step needs them all, the step stays.
2. A book is kept in ticks and mantissas. Under the new spec the same book stands at multiples of the old numbers
   (`Finer`): every level that is or was there is on the new grid.
3. Where ticks follow the price, by one table for all markets, no market has a tick of its own that could change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from services.simulator.listings import Spec
from services.simulator.ticks import flat
from services.simulator.venues.base import Catalogue
from services.simulator.venues.numbers import fixed, scale_of

MOST_DECIMALS = 8
MOST_DIGITS = 4


class Finer(NamedTuple):
    """What numbers kept under a spec are multiplied by under a finer one."""

    ticks: int
    prices: int
    """Mantissas."""
    sizes: int
    """Mantissas."""


def finer(spec: Spec, catalogue: Catalogue, digits: int) -> Spec:
    """The same market, its tick finer by `digits` decimal places; ValueError where that cannot be."""
    if not isinstance(digits, int) or not 1 <= digits <= MOST_DIGITS:
        raise ValueError(f"digits is {digits!r}; allowed is 1 to {MOST_DIGITS}")
    old = spec.listing
    if old.quote in catalogue.bands:
        raise ValueError(f"{old.native}: ticks follow the price here, by one table for all markets")
    price = _step(old.price_decimals, old.tick, digits, catalogue.price_decimals)
    if price is None:
        raise ValueError(f"{old.native}: a tick of {fixed(old.tick, old.price_decimals)} cannot be finer")
    size = _step(old.size_decimals, old.size_step, digits, catalogue.size_decimals) or (
        old.size_decimals,
        old.size_step,
    )
    listing = replace(
        old,
        price_decimals=price[0],
        tick=price[1],
        size_decimals=size[0],
        size_step=size[1],
        shown_size_decimals=min(size[0], catalogue.shown_size_decimals or size[0]),
    )
    return replace(spec, listing=listing, ticks=flat(fixed(price[1], price[0]), price[0]))


def between(old: Spec, new: Spec) -> Finer:
    """Rule 2, of a spec and one that `finer` made of it."""
    prices = scale_of(new.listing.price_decimals - old.listing.price_decimals)
    sizes = scale_of(new.listing.size_decimals - old.listing.size_decimals)
    return Finer(old.listing.tick * prices // new.listing.tick, prices, sizes)


def _step(decimals: int, step: int, digits: int, most: int | None) -> tuple[int, int] | None:
    """(decimals, step as a mantissa) `digits` places finer, with more decimals where the present ones do not do; None
    where they may not be more. `most` None: up to MOST_DECIMALS."""
    while digits and step % 10 == 0:
        step, digits = step // 10, digits - 1
    decimals += digits
    return (decimals, step) if decimals <= (MOST_DECIMALS if most is None else most) else None
