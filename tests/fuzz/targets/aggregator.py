"""The aggregator: listings that ingest answers with, universes of an earlier run, signs of life. A script:

I  a body of instruments, T  a body of tickers (as the exchange sent them)    J  both are the listing of the exchange
L  a ListingReply as it comes over the bus    U  a Universe as the stream kept it    H  the subject of a sign of life
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cache, partial
from random import Random

from hoga.domain.errors import HogaError
from hoga.exchanges import registry
from hoga.wire import packing, pb, subjects
from services.aggregator import listing
from services.aggregator.follower import Follower
from services.aggregator.service import Aggregator
from tests.fuzz import promises
from tests.fuzz.harness import OpenBus, in_loop
from tests.fuzz.inputs import messages, script, seeds
from tests.fuzz.inputs.mutate import edit_bytes, mutate
from tests.fuzz.target import Target, promise
from tests.fuzz.targets.validator import context


def targets() -> Iterator[Target]:
    kinds = {
        b"I": mutate, b"T": mutate, b"L": messages.mutator(pb.ListingReply, edit_bytes),
        b"U": messages.mutator(pb.Universe),
    }  # fmt: skip
    mutator = script.mutator(kinds, [(b"J", b"")])
    for code in registry.EXCHANGES:
        yield Target(f"aggregator:{code}", partial(run, code), partial(scripts, code), mutator, suite_runs=30)


def run(code: str, data: bytes) -> Hashable:
    return in_loop(_run(code, data))


async def _run(code: str, data: bytes) -> Hashable:
    bus = OpenBus()
    aggregator = Aggregator(context("aggregator", bus))
    follower = aggregator.followers[code]
    bodies: dict[bytes, list[bytes]] = {b"I": [], b"T": []}
    outcomes: list[Hashable] = []
    for what, payload in script.read(data):
        if what in bodies:
            bodies[what].append(packing.compress(payload))
        elif what == b"J":
            reply = pb.ListingReply(instruments=bodies[b"I"], tickers=bodies[b"T"])
            outcomes.append(await _take(aggregator, follower, bus, reply.SerializeToString()))
            bodies = {b"I": [], b"T": []}
        elif what == b"L":
            outcomes.append(await _take(aggregator, follower, bus, payload))
        elif what == b"U":
            outcomes.append(_restore(follower, payload))
        elif what == b"H":
            aggregator._on_ingest_health(
                subjects.health(f"ingest-{code}", payload.decode("utf-8", "replace") or "i"), b""
            )
    aggregator._on_connection(True)
    for subject, payload in bus.published:
        universe = pb.Universe.FromString(payload)
        promise(subject == subjects.universe(universe.exchange), f"{universe.exchange} on {subject}")
        promise(all(entry.symbol for entry in universe.entries), "a universe with a symbol that is none")
    return tuple(outcomes[:4]), min(len(bus.published), 3)


async def _take(aggregator: Aggregator, follower: Follower, bus: OpenBus, payload: bytes) -> Hashable:
    bus.answer = payload
    desk = follower.desk
    try:
        desk.listing = listing.read(desk.exchange, await listing.ask(bus, desk.code), 1)
    except HogaError as error:
        promises.short(str(error))
        return type(error).__name__, str(error)[:12]
    aggregator._on_listing(follower)
    return min(desk.listing.trading, 3), min(len(desk.members), 3)


def _restore(follower: Follower, payload: bytes) -> Hashable:
    try:
        follower.desk.restore(payload)
    except HogaError:
        return "no universe"
    return min(len(follower.desk.members), 3)


@cache
def scripts(code: str) -> list[bytes]:
    seed = seeds.of(code)
    listed: list[script.Event] = [(b"I", body) for body in seed.samples.instruments]
    traded: list[script.Event] = [(b"T", body) for body in seed.samples.tickers]
    simulated: list[script.Event] = [(b"I", data) for kind, data in seed.stream if kind.startswith("http:instruments")]
    universe = pb.Universe(exchange=code, revision=7, common_currency="USDT", listed=3)
    for symbol in ("BTC-USDT", "ETH-KRW"):
        universe.entries.add(symbol=symbol, native_symbol=symbol, common_turnover="12.5", reason="kept")
    kept = universe.SerializeToString()
    chance = Random(1)
    reply = pb.ListingReply(
        instruments=[packing.compress(body) for _, body in listed],
        tickers=[packing.compress(body) for _, body in traded],
    )
    junk = (b"L", edit_bytes(reply.SerializeToString(), chance, ()))
    return [
        script.write([*listed, *traded, (b"J", b"")]),
        script.write(
            [(b"H", b"i1"), (b"U", kept), *simulated, *traded, (b"J", b""), (b"L", reply.SerializeToString()), junk]
        ),
    ]
