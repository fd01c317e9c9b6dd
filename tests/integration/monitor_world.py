"""A small synthetic world for the monitor: services, links and books on a bus, without any exchange.

    world = World(bus, books_per_exchange=25)
    world.beat()                 what every process says once a second: health and link statuses
    world.move()                 one more message of every book that moves
    world.books["upbit", "BTC-KRW"].state = pb.BookState.BOOK_STATE_GAPPED

`python -m tests.integration.monitor_world --books 500 --rate 10 --nats nats://127.0.0.1:4222` feeds a real one.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from dataclasses import dataclass, field
from itertools import accumulate

from hoga.runtime.bus import Bus
from hoga.wire import pb, subjects

EPOCH = 0x5EED
CODES = ("binance_future", "binance_spot", "upbit", "bithumb")
_BASES = (
    "BTC ETH XRP SOL DOGE BNB ADA TRX AVAX LINK SHIB DOT BCH NEAR LTC UNI APT ICP ETC STX FIL HBAR ATOM ARB VET INJ OP "
    "IMX GRT RUNE THETA LDO AAVE ALGO SEI SUI TIA FLOW QTUM NEO EGLD AXS SAND MANA CHZ GALA ENS CRV COMP SNX ZIL BAT"
)
BASES = _BASES.split()
PRICES = {"BTC": 97_412.35, "ETH": 3_391.27, "XRP": 1.4732, "SOL": 256.91, "DOGE": 0.41237, "SHIB": 0.00002541}


@dataclass
class SyntheticBook:
    """One book; change its fields and it is published so."""

    exchange: str
    symbol: str
    mid: float
    price_exponent: int
    verified: bool
    seed: int
    moves: bool = True
    state: pb.BookState = pb.BookState.BOOK_STATE_LIVE
    reason: str = ""
    missing: int = 0
    gaps: int = 0
    resyncs: int = 1
    message: pb.OrderBook = field(default_factory=pb.OrderBook)

    def step(self, rng: random.Random, now_ns: int) -> bytes:
        """The next message, its best prices a little moved."""
        message = self.message
        message.exchange, message.symbol = self.exchange, self.symbol
        message.native_symbol = self.symbol.replace("-", "" if "binance" in self.exchange else "_")
        message.state, message.reason, message.missing = self.state, self.reason, self.missing
        message.verified, message.epoch = self.verified, EPOCH
        message.revision += 1
        message.sequence = message.sequence + rng.randrange(1, 40) if self.verified else 0
        message.sequence = message.sequence or (5_000_000_000 + self.seed * 17 if self.verified else 0)
        message.exchange_time_ns, message.receive_time_ns = now_ns - 9_400_000, now_ns - 430_000
        message.publish_time_ns = now_ns
        message.price_exponent, message.size_exponent = self.price_exponent, -4
        self.mid *= 1 + rng.gauss(0, 0.00002)
        self._levels(message, rng)
        message.bids_known = message.asks_known = 1000 if self.verified else 15
        message.gap_count, message.resync_count = self.gaps, self.resyncs
        return message.SerializeToString()

    def _levels(self, message: pb.OrderBook, rng: random.Random) -> None:
        tick = max(1, round(self.mid * 0.00001 / 10**self.price_exponent))
        best = round(self.mid / 10**self.price_exponent / tick) * tick
        depth = 20 if self.verified else 15
        down, up = (list(accumulate(rng.choices((1, 2, 4), (8, 2, 1), k=depth))) for _side in "ab")
        message.bid_price[:] = [best - step * tick for step in down]
        message.ask_price[:] = [best + step * tick for step in up]
        for prices, sizes in ((message.bid_price, message.bid_size), (message.ask_price, message.ask_size)):
            scale = 40_000 / self.mid
            sizes[:] = [max(1, int(rng.lognormvariate(0, 1.1) * scale * 10_000)) for _ in prices]

    @property
    def subject(self) -> str:
        return subjects.book(self.exchange, self.symbol)


@dataclass
class SyntheticLink:
    exchange: str
    slot: str
    symbols: list[str]
    state: pb.LinkState = pb.LinkState.LINK_STATE_CONNECTED
    reason: str = ""
    frames: int = 0
    frames_per_beat: int = 130
    frame_age_ns: int = 21_000_000
    reconnects: int = 0
    connection: int = 1
    reports: bool = True

    @property
    def link(self) -> str:
        return f"{self.slot}.c0ffee{self.connection}"


class World:
    def __init__(
        self, bus: Bus, *, books_per_exchange: int = 12, codes: tuple[str, ...] = CODES, seed: int = 7
    ) -> None:
        self.bus = bus
        self.rng = random.Random(seed)
        self.books: dict[tuple[str, str], SyntheticBook] = {}
        self.links: dict[str, SyntheticLink] = {}
        self.services: dict[str, pb.Health] = {}
        self.silent: set[str] = set()
        """Services that say nothing any more."""
        for code in codes:
            symbols = [self._add_book(code, index) for index in range(books_per_exchange)]
            for number, start in enumerate(range(0, len(symbols), 100)):
                slot = f"{code}-{number}"
                self.links[slot] = SyntheticLink(code, slot, symbols[start : start + 100])
            self._add_service(f"ingest-{code}", 41 << 20)
        for service in ("validator", "aggregator", "monitor"):
            self._add_service(service, 58 << 20)
        self.services["validator"].epoch = EPOCH

    def add(self, book: SyntheticBook) -> SyntheticBook:
        self.books[book.exchange, book.symbol] = book
        return book

    def beat(self) -> None:
        """Health of every service and the status of every link."""
        now_ns = time.time_ns()
        for link in self.links.values():
            if link.reports:
                self._report(link, now_ns)
        for name, health in self.services.items():
            health.time_ns = now_ns
            health.cpu_seconds += 0.017
            self._count(name, health)
            if name not in self.silent:
                self.bus.publish(subjects.health(name, health.instance), health.SerializeToString())

    def move(self, share: float = 1.0) -> None:
        """One more message of every book that moves (or of a random share of them)."""
        now_ns = time.time_ns()
        for book in self.books.values():
            if book.moves and (share >= 1 or self.rng.random() < share):
                self.bus.publish(book.subject, book.step(self.rng, now_ns))

    async def run(self, *, rate: float = 10.0) -> None:
        """Lives until cancelled: beats each second, `rate` messages a second of each book."""
        beat_at = 0.0
        while True:
            if time.monotonic() - beat_at >= 1:
                beat_at = time.monotonic()
                self.beat()
            self.move(min(1.0, rate / 20))
            await asyncio.sleep(0.05)

    def _add_book(self, code: str, index: int) -> str:
        base = BASES[index % len(BASES)] + (str(index // len(BASES)) if index >= len(BASES) else "")
        korean = code in ("upbit", "bithumb")
        mid = PRICES.get(base, 0.3 + 7 * self.rng.random() ** 3 * 30) * (1404 if korean else 1)
        exponent = -8 if mid < 0.001 else -5 if mid < 1 else -4 if mid < 100 else -2
        symbol = f"{base}-{'KRW' if korean else 'USDT'}"
        self.add(SyntheticBook(code, symbol, mid, exponent, not korean, index))
        return symbol

    def _add_service(self, service: str, resident: int) -> None:
        now_ns = time.time_ns()
        self.services[service] = pb.Health(
            service=service,
            instance="a1b2c3",
            start_time_ns=now_ns,
            time_ns=now_ns,
            healthy=True,
            resident_bytes=resident,
        )

    def _report(self, link: SyntheticLink, now_ns: int) -> None:
        if link.state == pb.LinkState.LINK_STATE_CONNECTED:
            link.frames += link.frames_per_beat
        status = pb.LinkStatus(
            exchange=link.exchange,
            link=link.link,
            slot=link.slot,
            state=link.state,
            symbols=link.symbols,
            time_ns=now_ns,
            last_frame_age_ns=link.frame_age_ns,
            frames=link.frames,
            reconnects=link.reconnects,
            reason=link.reason,
            instance="a1b2c3",
        )
        self.bus.publish(subjects.link(link.exchange, link.slot), status.SerializeToString())

    def _count(self, name: str, health: pb.Health) -> None:
        """Running totals: ingest counts its links' frames, the validator all of them and its books."""
        del health.exchanges[:]
        for code in {link.exchange for link in self.links.values()}:
            frames = sum(link.frames for link in self.links.values() if link.exchange == code)
            books = sum(book.message.revision for book in self.books.values() if book.exchange == code)
            if name == f"ingest-{code}":
                health.exchanges.add(exchange=code, raw_messages=frames)
            elif name == "validator":
                health.exchanges.add(exchange=code, raw_messages=frames, book_messages=books)


async def _feed(arguments: argparse.Namespace) -> None:
    from hoga.runtime.nats_bus import connect_nats
    from hoga.runtime.settings import NatsSettings

    bus = await connect_nats(NatsSettings(url=arguments.nats), name="synthetic-world")
    await bus.ensure_stream(subjects.BOOKS_STREAM, [f"{subjects.PREFIX}.book.>"], max_bytes=256 << 20)
    try:
        await World(bus, books_per_exchange=-(-arguments.books // len(CODES))).run(rate=arguments.rate)
    finally:
        await bus.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--books", type=int, default=500)
    parser.add_argument("--rate", type=float, default=10.0, help="messages a second of each book")
    parser.add_argument("--nats", default="nats://127.0.0.1:4222")
    asyncio.run(_feed(parser.parse_args()))
