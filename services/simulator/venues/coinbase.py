"""Coinbase Advanced Trade as the exchange speaks it: the websocket side (REST is in `coinbase_rest`).

    > {"type":"subscribe","channel":"heartbeats"}
    < {"channel":"subscriptions","timestamp":…,"sequence_num":0,"events":[{"subscriptions":{"heartbeats":[…]}}]}
    > {"type":"subscribe","product_ids":["BTC-USD"],"channel":"level2"}
    < {"channel":"l2_data","client_id":"","timestamp":…,"sequence_num":1,"events":[{"type":"snapshot",…}]}
    < {"channel":"subscriptions",…,"sequence_num":2,"events":[{"subscriptions":{…,"level2":["BTC-USD"]}}]}

1. One counter numbers every frame of a connection, whatever its channel, from 0; errors alone are not numbered.
2. A subscription brings the whole book, then changes; the answer lists all that the connection now has and comes
   after the first data. A request with an unknown product is refused as a whole.
3. A product may be an alias: BTC-USDC is accepted, and its data says BTC-USD.
4. Heartbeats come every second once subscribed. No subscribe within 5 s ends the link; so does a minute or more
   without heartbeats and data.
5. An address may send 8 messages and open 8 connections a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hoga.domain.types import Stamp
from services.simulator.venues.base import (
    Action,
    Answer,
    BookView,
    Call,
    Catalogue,
    Change,
    Close,
    Emulator,
    IntLevel,
    Listing,
    MarketPort,
    Send,
    SendFirst,
    Session,
    Topic,
    read_json,
)
from services.simulator.venues.coinbase_rest import WORDS, CoinbaseRest, book_of, rfc3339
from services.simulator.venues.numbers import plain
from services.simulator.venues.throttle import Meter, meter

_NUMBER = b'"sequence_num":#'
"""Stands in a market frame where the connection's number will."""
_PUBLIC = ("level2", "ticker", "ticker_batch", "market_trades", "candles", "status", "heartbeats")


@dataclass(slots=True)
class Rules:
    """Every limit a test may want to change."""

    connects_per_s: int = 8
    messages_per_s: int = 8
    subscribe_within_s: float = 5.0
    sparse_s: float = 75.0
    """60 to 90 s documented."""
    heartbeat_s: float = 1.0


class CoinbaseEmulator(Emulator):
    code = "coinbase"
    words = WORDS
    catalogue = Catalogue(
        style="spot", quote="USD", native=lambda base, quote, delivery: f"{base}-{quote}", share=0.12, crosses=("BTC",)
    )
    per_link = True

    def __init__(self, market: MarketPort, *, seed: int = 0) -> None:
        super().__init__(market)
        self.rules = Rules()
        self.web = CoinbaseRest(market, seed=seed)
        self._connects: dict[str, Meter] = {}
        self._messages: dict[str, Meter] = {}

    def open(self, call: Call) -> Session | Answer:
        if call.path not in ("", "/"):
            return Answer(404, b"")
        known = self._connects.setdefault(call.client, meter(self.rules.connects_per_s, 1.0))
        if not known.hit(call.now.mono_ns / 1e9):
            return Answer(429, b"")
        return CoinbaseSession(self, call.client, call.now)

    def may_send(self, client: str, now: Stamp) -> bool:
        """Counts a message of an address; False where it is one too many."""
        known = self._messages.setdefault(client, meter(self.rules.messages_per_s, 1.0))
        return known.hit(now.mono_ns / 1e9)

    def unlimited(self) -> None:
        self.rules.connects_per_s = self.rules.messages_per_s = self.web.per_second = 1 << 30
        for meters in (self._connects, self._messages, self.web.budgets):
            meters.clear()

    def rest(self, call: Call) -> Answer:
        return self.web.answer(call)

    def wants_book(self, topic: Topic) -> int:
        return 0

    def first(self, topic: Topic) -> bytes | None:
        listing = self.market.listing(topic.native)
        if listing is None:
            return None
        book = self.market.book(topic.native)
        return _frame("snapshot", listing, book.time_ms, book.seq, book.bids, book.asks)

    def render(self, topic: Topic, listing: Listing, change: Change | None, book: BookView | None) -> bytes:
        if change is None:
            return b""
        return _frame("update", listing, change.time_ms, change.last_seq, change.bids, change.asks)


class CoinbaseSession(Session):
    """One link: its counter, its channels, its heartbeat."""

    def __init__(self, emulator: CoinbaseEmulator, client: str, now: Stamp) -> None:
        self.emulator, self.rules, self.client = emulator, emulator.rules, client
        self.channels: dict[str, dict[str, None]] = {}
        """Channel -> what is subscribed in it."""
        self.sent = 0
        """Numbered frames so far: the next number."""
        self._born = self._heard = now.mono_ns
        self._sent_at_tick = 0
        self._spoken = False
        self._beats_due: int | None = None
        self._beats = now.mono_ns // 10**9
        self._answers: list[bytes] = []

    def receive(self, data: str | bytes, now: Stamp) -> list[Action]:
        if not self.emulator.may_send(self.client, now):
            return [Close(1008, "rate limit exceeded")]
        try:
            request = read_json(data)
        except ValueError:
            return [_error("failed to parse the message")]
        if not isinstance(request, dict) or request.get("type") not in ("subscribe", "unsubscribe"):
            return [_error("unknown message type")]
        channel, products = request.get("channel"), request.get("product_ids", [])
        if channel not in _PUBLIC:
            return [_error("authentication failure")]  # as seen live for a channel that does not exist
        if not isinstance(products, list) or not all(isinstance(product, str) for product in products):
            return [_error("product_ids must be an array of strings")]
        if request["type"] == "unsubscribe":
            return self._unsubscribe(channel, products, now)
        return self._subscribe(channel, products, now)

    def tick(self, now: Stamp) -> list[Action]:
        if not self._spoken and now.mono_ns - self._born >= self.rules.subscribe_within_s * 1e9:
            return [Close(1008, "no subscribe message received")]
        # Rule 2: answers come after the data that they announce.
        actions: list[Action] = [Send(self.stamp(answer).decode()) for answer in self._answers]
        self._answers.clear()
        if self._beats_due is not None and now.mono_ns >= self._beats_due:
            every_ns = int(self.rules.heartbeat_s * 1e9)
            self._beats_due += every_ns * ((now.mono_ns - self._beats_due) // every_ns + 1)
            self._beats += 1
            actions.append(Send(self.stamp(_heartbeat(now, self._beats)).decode()))
        if self.sent != self._sent_at_tick:
            self._sent_at_tick, self._heard = self.sent, now.mono_ns
        elif now.mono_ns - self._heard >= self.rules.sparse_s * 1e9:
            actions.append(Close(1006, "nothing was sent"))
        return actions

    def stamp(self, payload: bytes) -> bytes:
        number, self.sent = self.sent, self.sent + 1
        return payload.replace(_NUMBER, b'"sequence_num":%d' % number, 1)

    def _subscribe(self, channel: str, products: list[str], now: Stamp) -> list[Action]:
        if channel == "heartbeats":
            products = ["heartbeats"]
            self._beats_due = self._beats_due or now.mono_ns + int(self.rules.heartbeat_s * 1e9)
        elif channel != "status" and (
            not products or any(book_of(self.emulator.market, product) is None for product in products)
        ):
            return [_error("failure to subscribe")]
        self._spoken = True
        held = self.channels.setdefault(channel, {})
        new = [product for product in products if product not in held]
        held |= dict.fromkeys(new)
        self._answers.append(self._subscriptions(now))
        if channel != "level2":
            return []
        self._retopic()
        return [SendFirst(self._topic(product)) for product in new]

    def _unsubscribe(self, channel: str, products: list[str], now: Stamp) -> list[Action]:
        held = self.channels.get(channel, {})
        for product in products or list(held):
            held.pop(product, None)
        if not held:
            self.channels.pop(channel, None)
        if channel == "heartbeats":
            self.channels.pop(channel, None)
            self._beats_due = None
        self._answers.append(self._subscriptions(now))
        self._retopic()
        return []

    def _retopic(self) -> None:
        self.topics = frozenset(self._topic(product) for product in self.channels.get("level2", ()))

    def _topic(self, product: str) -> Topic:
        return Topic(book_of(self.emulator.market, product) or product, "level2")

    def _subscriptions(self, now: Stamp) -> bytes:
        held = {channel: list(names) for channel, names in sorted(self.channels.items())}
        events = json.dumps([{"subscriptions": held}], separators=(",", ":"))
        return _envelope("subscriptions", now.wall_ns, events)


def _heartbeat(now: Stamp, counter: int) -> bytes:
    moment = datetime.fromtimestamp(now.wall_ns // 10**9, UTC)
    current = f"{moment:%Y-%m-%d %H:%M:%S} +0000 UTC m=+{now.mono_ns / 1e9:.6f}"
    return _envelope("heartbeats", now.wall_ns, f'[{{"current_time":"{current}","heartbeat_counter":{counter}}}]')


def _envelope(channel: str, time_ns: int, events: str) -> bytes:
    at = rfc3339(time_ns)
    return f'{{"channel":"{channel}","timestamp":"{at}","sequence_num":#,"events":{events}}}'.encode()


def _frame(
    kind: str, listing: Listing, time_ms: int, seq: int, bids: Iterable[IntLevel], asks: Iterable[IntLevel]
) -> bytes:
    """A level2 frame of one event. The engine's time is in µs, the frame's a little later, in ns; both within the
    millisecond of the change."""
    time_ns = time_ms * 1_000_000 + seq * 7_919_000 % 1_000_000
    price, size = listing.price_decimals, listing.size_decimals
    at = rfc3339(time_ns)
    levels = [
        f'{{"side":"{side}","event_time":"{at}","price_level":"{plain(p, price)}","new_quantity":"{plain(s, size)}"}}'
        for side, rows in (("bid", bids), ("offer", asks))
        for p, s in rows
    ]
    return (
        f'{{"channel":"l2_data","client_id":"","timestamp":"{rfc3339(time_ns + seq % 1000)}",'
        f'"sequence_num":#,"events":[{{"type":"{kind}","product_id":"{listing.native}","updates":[{",".join(levels)}]}}]}}'
    ).encode()


def _error(message: str) -> Send:
    body: dict[str, Any] = {"type": "error", "message": message}
    return Send(json.dumps(body, separators=(",", ":")))
