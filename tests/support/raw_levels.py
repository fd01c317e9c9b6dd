"""Levels as the bytes of a frame, and what the ordinary way of reading makes of them: the measure of the raw one."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hoga.domain.errors import FrameError
from hoga.domain.level_shape import LevelShape
from hoga.domain.numbers import is_zero
from hoga.domain.types import Level
from hoga.exchanges.decoding import decode, raw_number

Sides = tuple[list[Level], list[Level]]


def dig(frame: bytes, *path: str | int) -> bytes:
    """The bytes of one value of a frame; b"" where it is not there."""
    for step in path:
        if isinstance(step, int):
            found: list[msgspec.Raw] = msgspec.json.decode(frame, type=list[msgspec.Raw])
            frame = bytes(found[step]) if step < len(found) else b""
        else:
            frame = bytes(msgspec.json.decode(frame, type=dict[str, msgspec.Raw]).get(step, b""))
        if not frame:
            break
    return frame


class OrdinaryReader:
    """Levels of one shape as texts, decoded into types as the exchange modules do; FrameError where they are none."""

    def __init__(self, shape: LevelShape) -> None:
        self.shape = shape
        number = str if shape.quoted else msgspec.Raw
        if shape.kind == "rows":
            fields = [("price", number), ("size", number)]
            row = msgspec.defstruct("Row", fields, array_like=True) if shape.more else tuple[number, number]  # type: ignore[valid-type]
            self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]
            return
        names = {"price": shape.price, "size": shape.size}
        if shape.kind == "sided":
            names |= {"side": shape.side}
        if shape.kind == "units":
            names |= {"bid_price": shape.bid_price, "bid_size": shape.bid_size}
        side = Literal[shape.bid, shape.ask]  # type: ignore[valid-type]
        typed = [(name, side if name == "side" else number) for name in names]
        self._decoder = msgspec.json.Decoder(list[msgspec.defstruct("Object", typed, rename=names)])  # type: ignore[misc]

    def read(self, first: bytes, second: bytes) -> Sides:
        bids = decode(self._decoder, first)
        if not self.shape.one_list:
            return [self._level(one) for one in bids], [self._level(one) for one in decode(self._decoder, second)]
        if second:
            raise FrameError("shape", "a second list")
        if self.shape.kind == "sided":
            found: Sides = ([], [])
            for one in bids:
                found[one.side == self.shape.ask].append(self._level(one))
            return found
        pairs = [((u.bid_price, u.bid_size), (u.price, u.size)) for u in bids]
        return self._present(pair[0] for pair in pairs), self._present(pair[1] for pair in pairs)

    def _level(self, one: Any) -> Level:
        price, size = one if isinstance(one, tuple) else (one.price, one.size)
        return self._text(price), self._text(size)

    def _text(self, number: Any) -> str:
        return number if self.shape.quoted else raw_number(number)

    def _present(self, levels: Any) -> list[Level]:
        texts = [(self._text(price), self._text(size)) for price, size in levels]
        return [level for level in texts if not is_zero(level[0]) and not is_zero(level[1])]
