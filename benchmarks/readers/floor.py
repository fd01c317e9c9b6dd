"""The least that plain Python can do: decode the frame, write its levels into two dicts. Nothing is checked."""

from common import run
from msgspec import UNSET, Struct, UnsetType
from msgspec.json import Decoder


class Depth(Struct, gc=False):
    s: str
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class Combined(Struct, gc=False):
    data: Depth | UnsetType = UNSET


def make(snapshots, reads):
    books = {
        native: (dict(map(tuple, body["bids"])), dict(map(tuple, body["asks"]))) for native, body in snapshots.items()
    }
    ids = {}
    decode = Decoder(Combined).decode

    def take(frame):
        depth = decode(frame).data
        if depth is UNSET:
            return
        bids, asks = books[depth.s]
        for side, levels in ((bids, depth.b), (asks, depth.a)):
            for price, size in levels:
                if float(size):
                    side[price] = size
                else:
                    side.pop(price, None)
        ids[depth.s] = depth.u
        if reads:
            max(bids, key=float), min(asks, key=float)

    return take, lambda: ids


run(make)
