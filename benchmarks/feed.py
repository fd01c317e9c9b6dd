"""A feed for measuring: speaks just enough of Binance spot, as cheaply as it can, at an exact rate.

Every frame has 20 level changes and carries the monotonic clock in its event time: E counts microseconds of the
monotonic clock from a base that looks like wall time (`BASE_US`), so that whoever reads a book on this machine can
tell how old the frame is. `GET /rate?frames=N` sets the frames per second of all symbols together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time

from aiohttp import WSMsgType, web

BASE_US = 1_700_000_000_000_000
LEVELS = 1000
VARIANTS = 64
ROUND_S = 0.002


def stamp_us() -> int:
    """The monotonic clock as event time, in microseconds."""
    return BASE_US + time.monotonic_ns() // 1000


def age_ms(exchange_time_ns: int) -> float:
    """How old a frame of this feed is, in milliseconds."""
    return (stamp_us() - exchange_time_ns // 1000) / 1000


class Feed:
    def __init__(self, symbols: int) -> None:
        self.names = [f"S{number}USDT" for number in range(symbols)]
        self.rate = 0.0
        self.sent = 0
        self.late = 0
        self._seq = dict.fromkeys(self.names, 1000)
        self._sockets: dict[web.WebSocketResponse, set[str]] = {}
        chance = random.Random(7)
        self._changes = [_changes(chance) for _ in range(VARIANTS)]

    async def run(self) -> None:
        """Sends at the rate that is set, evenly over the symbols."""
        due, index = time.monotonic(), 0
        while True:
            await asyncio.sleep(ROUND_S)
            now = time.monotonic()
            if not self.rate:
                due = now
                continue
            count = int((now - due) * self.rate)
            if now - due > 0.25:
                self.late += 1
                count, due = int(0.01 * self.rate), now
            else:
                due += count / self.rate
            for _ in range(count):
                name = self.names[index % len(self.names)]
                index += 1
                frame = self._frame(name, index)
                for socket, wanted in self._sockets.items():
                    if name in wanted:
                        await socket.send_str(frame)
                        self.sent += 1

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._sockets[socket] = set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(socket, json.loads(message.data))
        finally:
            del self._sockets[socket]
        return socket

    async def depth(self, request: web.Request) -> web.Response:
        bids = [[f"{1000 - n / 100:.2f}000000", "1.00000000"] for n in range(1, LEVELS + 1)]
        asks = [[f"{1000 + n / 100:.2f}000000", "1.00000000"] for n in range(1, LEVELS + 1)]
        body = {"lastUpdateId": self._seq[request.query["symbol"]], "bids": bids, "asks": asks}
        return web.json_response(body)

    async def info(self, _: web.Request) -> web.Response:
        listed = [
            {"symbol": name, "status": "TRADING", "baseAsset": name[:-4], "quoteAsset": "USDT"} for name in self.names
        ]
        return web.json_response({"symbols": listed})

    async def tickers(self, _: web.Request) -> web.Response:
        return web.json_response([{"symbol": n, "lastPrice": "1000", "quoteVolume": "1000000"} for n in self.names])

    async def set_rate(self, request: web.Request) -> web.Response:
        self.rate = float(request.query["frames"])
        return web.json_response({"sent": self.sent, "late": self.late})

    def _frame(self, name: str, index: int) -> str:
        first = self._seq[name] + 1
        last = self._seq[name] = first + 19
        return (
            f'{{"stream":"{name.lower()}@depth@100ms","data":{{"e":"depthUpdate","E":{stamp_us()},"s":"{name}",'
            f'"U":{first},"u":{last},{self._changes[index % VARIANTS]}}}}}'
        )

    async def _answer(self, socket: web.WebSocketResponse, request: dict[str, object]) -> None:
        params = request.get("params")
        names = {str(param).split("@")[0].upper() for param in params} if isinstance(params, list) else set()
        result: list[str] | None = None
        if request["method"] == "SUBSCRIBE":
            self._sockets[socket] |= names
        elif request["method"] == "UNSUBSCRIBE":
            self._sockets[socket] -= names
        else:
            result = []
        await socket.send_str(json.dumps({"result": result, "id": request["id"]}))


def _changes(chance: random.Random) -> str:
    """The levels of one frame: 10 a side, near the touch, sizes only, so that books never cross."""

    def side(sign: int) -> list[list[str]]:
        ticks = chance.sample(range(1, 60), 10)
        return [[f"{1000 + sign * n / 100:.2f}000000", f"{chance.randint(0, 900) / 100:.2f}000000"] for n in ticks]

    return f'"b":{json.dumps(side(-1), separators=(",", ":"))},"a":{json.dumps(side(1), separators=(",", ":"))}'


def main() -> None:
    parser = argparse.ArgumentParser(description="A feed of exact rate for the benchmark.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--symbols", type=int, default=50)
    args = parser.parse_args()
    feed = Feed(args.symbols)

    async def begin(_: web.Application) -> None:
        feed.task = asyncio.get_running_loop().create_task(feed.run())  # type: ignore[attr-defined]

    app = web.Application()
    app.on_startup.append(begin)
    app.add_routes(
        [
            web.get("/stream", feed.stream),
            web.get("/api/v3/depth", feed.depth),
            web.get("/api/v3/exchangeInfo", feed.info),
            web.get("/api/v3/ticker/24hr", feed.tickers),
            web.get("/rate", feed.set_rate),
        ]
    )
    web.run_app(app, host="127.0.0.1", port=args.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
