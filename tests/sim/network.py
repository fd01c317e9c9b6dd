"""The network between ingest and the simulated exchanges: what production takes for an aiohttp session.

A `Weather` for each exchange says how things are at the moment: latency, what becomes of new connections and of REST.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
from yarl import URL

from services.simulator.link import Link
from services.simulator.venues.base import Answer, Call
from tests.sim.exchanges import SimExchanges
from tests.sim.loop import OWNER, SimLoop
from tests.sim.websocket import ClientSocket, Wire

BAN_STATUSES = (418, 429)
NEVER_S = 1e6


@dataclass
class Weather:
    """Of one exchange; every trouble lasts until the moment beside it."""

    latency_s: float = 0.005
    jitter_s: float = 0.005
    connects: str = ""
    """"", "refused", "dns", "tls" or "stall"."""
    connects_until: float = 0.0
    rest: str = ""
    """"", "refused", "dns", "stall", "reset", "gzip" or "slow"."""
    rest_until: float = 0.0


@dataclass
class RestLog:
    """What ingest did while it was told to stay away."""

    requests: Counter[str] = field(default_factory=Counter)
    during_ban: list[str] = field(default_factory=list)


class Network:
    def __init__(self, loop: SimLoop, dice: Random, exchanges: SimExchanges, far_s: tuple[float, ...]) -> None:
        self.loop, self.dice, self.exchanges, self.far_s = loop, dice, exchanges, far_s
        self.weather = {code: Weather() for code in exchanges.venues}
        self.wires: list[Wire] = []
        self.rest = RestLog()
        self.world = copy_context()
        self._links = 0

    def session(self) -> SimSession:
        """Takes the place of `services.ingest.handshake.new_session`; belongs to the process that asks for it."""
        return SimSession(self, OWNER.get())

    def alive(self, code: str) -> list[Wire]:
        """Connections of an exchange that nobody has closed, oldest first."""
        self.wires = [wire for wire in self.wires if not (wire.over and wire.client is None)]
        return [wire for wire in self.wires if wire.venue.code == code and not wire.over and wire.client is not None]

    def vanish(self, owner: str) -> None:
        """A process was killed: its kernel closes its connections."""
        for wire in self.wires:
            if wire.owner == owner and wire.client is not None:
                wire.leave()

    def latency(self, code: str, far_s: float = 0.0) -> Callable[[], float]:
        weather, random = self.weather[code], self.dice.random
        return lambda: far_s + weather.latency_s + weather.jitter_s * random()

    def trouble(self, code: str, kind: str) -> str:
        weather = self.weather[code]
        mode, until = getattr(weather, kind), getattr(weather, f"{kind}_until")
        return mode if self.loop.now < until else ""

    def call(self, url: URL, owner: str) -> tuple[str, Call]:
        _, code, tail = url.path.split("/", 2)
        client = f"10.0.0.{sum(owner.partition('#')[0].encode()) % 250}"
        return code, Call("/" + tail, dict(url.query), client, self.exchanges.now())

    def admit(self, wire: Wire, call: Call) -> Answer | None:
        """The exchange's side of a handshake; None where it is accepted."""
        venue = wire.venue
        answer = self.exchanges.faults.connect_answer(venue)
        opened = answer or venue.emulator.open(call)
        if isinstance(opened, Answer):
            return opened
        self._links += 1
        wire.link = Link(self._links, call.client, opened, wire)
        venue.attach(wire.link)
        venue.flush_link(wire.link)
        self.wires.append(wire)
        return None

    async def serve(self, code: str, call: Call) -> Answer:
        """The exchange's side of a REST request."""
        venue = self.exchanges.venues[code]
        fault = self.exchanges.faults.rest_fault(venue, call)
        if fault is None:
            return await venue.rest(call)
        await asyncio.sleep(fault.delay_s)
        return fault.answer(await venue.rest(call) if fault.spares else None)


class SimSession:
    """The part of `aiohttp.ClientSession` that ingest and the REST client use."""

    def __init__(self, network: Network, owner: str) -> None:
        self.network, self.owner = network, owner
        self.away_until: dict[str, float] = {}
        """Exchange -> until when it told this session to stay away."""

    async def ws_connect(self, url: str, *, max_msg_size: int, **_: object) -> ClientSocket:
        network = self.network
        code, call = network.call(URL(url), self.owner)
        latency = network.latency(code, network.dice.choice(network.far_s))
        trouble = network.trouble(code, "connects")
        if trouble == "stall":
            await asyncio.sleep(NEVER_S)
        await asyncio.sleep(2 * latency())
        fail_to_connect(trouble)
        wire = Wire(network.loop, network.dice, latency, network.exchanges.venues[code], self.owner, network.world)
        socket = ClientSocket(wire, max_msg_size)
        refused = network.world.copy().run(network.admit, wire, call)
        try:
            await asyncio.sleep(latency())
        except BaseException:
            wire.leave()
            raise
        if refused is not None:
            info: Any = None
            raise aiohttp.WSServerHandshakeError(info, (), status=refused.status, headers=_headers(refused))
        return socket

    def get(self, url: URL, *, timeout: aiohttp.ClientTimeout, **_: object) -> SimRequest:
        return SimRequest(self, url, timeout.total or NEVER_S)

    async def close(self) -> None:
        self.network.vanish(self.owner)


class SimRequest:
    """`async with session.get(...) as response`."""

    def __init__(self, session: SimSession, url: URL, total_s: float) -> None:
        self._session, self._url = session, url
        self._deadline = session.network.loop.now + total_s

    async def __aenter__(self) -> SimResponse:
        async with asyncio.timeout_at(self._deadline):
            return await self._answer()

    async def _answer(self) -> SimResponse:
        network = self._session.network
        code, call = network.call(self._url, self._session.owner)
        self._note(code, call)
        latency = network.latency(code)
        trouble = network.trouble(code, "rest")
        if trouble == "stall":
            await asyncio.sleep(NEVER_S)
        await asyncio.sleep(2 * latency())
        fail_to_connect(trouble)
        serving = network.loop.create_task(network.serve(code, call), context=network.world.copy())
        answer = await asyncio.shield(serving)
        await asyncio.sleep(latency())
        headers = _headers(answer)
        if answer.status in BAN_STATUSES and headers.get("Retry-After", "").isdigit():
            until = network.loop.now + int(headers["Retry-After"])
            self._session.away_until[code] = max(until, self._session.away_until.get(code, 0.0))
        return SimResponse(answer.status, headers, answer.body, trouble, self._deadline)

    async def __aexit__(self, *_: object) -> None:
        return None

    def _note(self, code: str, call: Call) -> None:
        network = self._session.network
        network.rest.requests[code] += 1
        if network.loop.now < self._session.away_until.get(code, 0.0):
            network.rest.during_ban.append(f"{code}{call.path} at {network.loop.now:.3f} s")


class SimResponse:
    """The part of `aiohttp.ClientResponse` that the REST client uses."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes, trouble: str, deadline: float) -> None:
        self.status, self.headers = status, headers
        self.content = self
        self._body, self._trouble, self._deadline = body, trouble, deadline

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        body = self._body
        if self._trouble == "gzip":
            raise aiohttp.ClientPayloadError("Can not decode content-encoding: gzip")
        for start in range(0, len(body), size):
            if self._trouble == "reset" and start + size >= len(body):
                yield body[start : start + size // 2]
                raise aiohttp.ClientPayloadError("Response payload is not completed")
            if self._trouble == "slow":
                async with asyncio.timeout_at(self._deadline):
                    await asyncio.sleep(3.0)
            yield body[start : start + size]


def fail_to_connect(trouble: str) -> None:
    """Raises what aiohttp raises."""
    if trouble == "refused":
        raise aiohttp.ClientOSError(111, "Connect call failed")
    if trouble == "dns":
        raise aiohttp.ClientConnectionError("Temporary failure in name resolution")
    if trouble == "tls":
        raise aiohttp.ClientConnectionError("certificate verify failed: certificate has expired")


def _headers(answer: Answer) -> dict[str, str]:
    return dict(answer.headers)
