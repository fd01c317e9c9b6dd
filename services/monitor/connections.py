"""ConnectionManager: the single source of truth of every connection's state.

It takes what ingest reports (link statuses, counts) and what is seen on the bus (frames validated, frames
probed, books moving), compares the two once a second and returns what is wrong and what should be done.
`links` and `flows` hold the rules. It does nothing itself: no bus, no clock; time comes in as a `Stamp`.

    manager.register_connector("binance_spot", connector)     optional: whoever can reconnect its links
    manager.update_exchange_status("binance_spot", True, now) for a connector without link statuses
    manager.get_connection_status("binance_spot", now)        -> ConnectionStatus
    await manager.start_monitoring(clock, act)                the edge: `act(findings)` every second
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hoga.domain.types import Stamp
from hoga.wire import pb

from .flows import Flow
from .limiter import ReconnectLimiter
from .links import SECOND, Link, Patience
from .problems import Problem, Severity

MAX_LINKS = 4096
UNSEEN_NS = 10 * SECOND
MAX_EXCHANGES = 256
PAUSE_NS = 3 * SECOND
"""A gap this long between two checks means that we slept, not that the world stood still."""


class Connector(Protocol):
    """Whoever can replace a link of one exchange by a fresh connection."""

    async def reconnect(self, link: str, reason: str) -> str:
        """Asks for it; the answer is empty where accepted, otherwise what went wrong."""


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """One exchange: connected is what can be vouched for now, not what was last said."""

    exchange: str
    connected: bool
    links: int
    links_connected: int
    symbols: int
    reconnects: int
    reason: str
    """Why it is not (wholly) connected; empty otherwise."""


@dataclass(frozen=True, slots=True)
class ReconnectAdvice:
    """Replace this connection. `link` names the very connection that was judged, so that a request that
    comes late, after ingest has reconnected by itself, is refused instead of hitting the fresh one."""

    exchange: str
    slot: str
    link: str
    kind: str
    """"frozen" or "quiet": a short stable word for counting."""
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    problems: tuple[Problem, ...]
    reconnects: tuple[ReconnectAdvice, ...]
    probes: frozenset[str]
    """Exchanges whose raw subjects should be counted directly just now."""


class ConnectionManager:
    def __init__(
        self,
        *,
        idle_timeout_s: Callable[[str], float] = lambda _exchange: 60.0,
        patience: Patience | None = None,
        limiter: ReconnectLimiter | None = None,
    ) -> None:
        """`idle_timeout_s(exchange)`: after so long without a frame a link of that exchange is dead."""
        self._idle_timeout_s = idle_timeout_s
        self._patience = patience or Patience()
        self._limiter = limiter or ReconnectLimiter()
        self._connectors: dict[str, Connector | None] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._flows: dict[str, Flow] = {}
        self._checked_ns = 0
        self._unseen_since_ns: dict[str, int] = {}

    # --- the guide's face

    def register_connector(self, exchange: str, connector: Connector | None = None) -> None:
        """Expects connections of `exchange` from now on. A second call may bring the connector."""
        if exchange in self._connectors:
            self._connectors[exchange] = connector or self._connectors[exchange]
        elif len(self._connectors) < MAX_EXCHANGES:
            self._connectors[exchange] = connector

    def update_exchange_status(self, exchange: str, connected: bool, now: Stamp, *, reason: str = "") -> None:
        """Takes a bare connected or not; it fills one slot named like the exchange and must be repeated
        like every report."""
        self.register_connector(exchange)
        state = pb.LinkState.LINK_STATE_CONNECTED if connected else pb.LinkState.LINK_STATE_BACKOFF
        self.observe_link(pb.LinkStatus(exchange=exchange, slot=exchange, state=state, reason=reason), now)

    def get_connection_status(self, exchange: str, now: Stamp) -> ConnectionStatus:
        """What can be vouched for at this moment. An exchange never heard of is not connected."""
        links = [link for link in self._links.values() if link.exchange == exchange]
        wanted = [link for link in links if link.state(now.mono_ns, self._patience) != "CLOSED"]
        up = [link for link in wanted if link.connected(now.mono_ns, self._patience)]
        down = [link.problem(now.mono_ns, self._patience) for link in wanted if link not in up]
        return ConnectionStatus(
            exchange=exchange,
            connected=bool(up),
            links=len(wanted),
            links_connected=len(up),
            symbols=sum(len(link.status.symbols) for link in up),
            reconnects=sum(link.status.reconnects for link in links),
            reason="; ".join(sorted({problem.text for problem in down if problem})) if wanted else "no link reported",
        )

    async def start_monitoring(
        self, clock: Callable[[], Stamp], act: Callable[[Findings], None], *, period_s: float = 1.0
    ) -> None:
        """Checks every `period_s` until cancelled and hands the findings to `act`."""
        while True:
            act(self.check(clock()))
            await asyncio.sleep(period_s)

    # --- what comes in

    @property
    def exchanges(self) -> list[str]:
        return list(self._connectors)

    def connector(self, exchange: str) -> Connector | None:
        return self._connectors.get(exchange)

    def observe_link(self, status: pb.LinkStatus, now: Stamp) -> None:
        """Takes a link's report. A link that cannot be remembered (too many) is ignored."""
        key = (status.exchange, status.slot)
        link = self._links.get(key)
        if link is None:
            if len(self._links) >= MAX_LINKS:
                return
            self.register_connector(status.exchange)
            link = Link(*key, idle_ns=int(self._idle_timeout_s(status.exchange) * SECOND))
            self._links[key] = link
        link.observe(status, now.mono_ns)

    def observe_published(self, exchange: str, source: str, count: int, now: Stamp) -> None:
        """Ingest's running total of raw frames it handed to the bus."""
        self._flow(exchange).observe_published(source, count, now.mono_ns)

    def observe_validated(self, exchange: str, source: str, count: int) -> None:
        """A validator's running total of raw frames it took from the bus."""
        self._flow(exchange).observe_validated(source, count)

    def observe_probe(self, exchange: str, frames: int) -> None:
        """Raw frames the monitor itself counted on the bus since the last call."""
        self._flow(exchange).observe_probe(frames)

    def observe_books(self, moved: Mapping[tuple[str, str], int], now: Stamp) -> None:
        """Book messages seen since the last call, by (exchange, symbol)."""
        for link in self._links.values():
            messages = sum(moved.get((link.exchange, symbol), 0) for symbol in link.status.symbols)
            link.books_moved(messages, now.mono_ns)

    def bus_returned(self, away_ns: int, now: Stamp) -> None:
        """The bus was away for so long, until now: silence meanwhile is nobody's fault."""
        self._forgive(away_ns, now.mono_ns)

    # --- what comes out

    def links(self) -> list[Link]:
        """Every link, in the order of exchange and slot."""
        return sorted(self._links.values(), key=lambda link: (link.exchange, len(link.slot), link.slot))

    def link_state(self, link: Link, now: Stamp) -> str:
        """CONNECTED, CONNECTING, BACKOFF, CLOSED, SILENT or UNKNOWN."""
        return link.state(now.mono_ns, self._patience)

    def frame_age_ns(self, link: Link, now: Stamp) -> int:
        """Age of the link's last frame, for people; -1 before the first."""
        return link.shown_age_ns(now.mono_ns, self._patience)

    def check(self, now: Stamp) -> Findings:
        """Compares what is reported with what arrives. To be called about once a second."""
        if self._checked_ns and now.mono_ns - self._checked_ns > PAUSE_NS:
            self._forgive(now.mono_ns - self._checked_ns, now.mono_ns)
        self._checked_ns = now.mono_ns
        self._links = {key: link for key, link in self._links.items() if not link.forgotten(now.mono_ns)}
        problems: list[Problem] = list(self._unseen(now.mono_ns))
        reconnects: list[ReconnectAdvice] = []
        for link in self._links.values():
            if problem := link.problem(now.mono_ns, self._patience):
                problems.append(problem)
            if problem := link.disagreement(now.mono_ns, self._patience):
                problems.append(problem)
                if self._limiter.allow((link.exchange, link.slot), now.mono_ns):
                    reconnects.append(self._advice(link, problem))
        mismatch_ns = self._patience.mismatch_ns
        flows = self._flows.values()
        problems += [found for flow in flows if (found := flow.problem(now.mono_ns, mismatch_ns))]
        probes = frozenset(flow.exchange for flow in flows if flow.wants_probe(now.mono_ns, mismatch_ns))
        return Findings(tuple(problems), tuple(reconnects), probes)

    def _unseen(self, mono_ns: int) -> Iterable[Problem]:
        """Exchanges of which no link has been reported for a while; when the system starts, that is no news."""
        seen = {exchange for exchange, _slot in self._links}
        unseen = self._connectors.keys() - seen
        self._unseen_since_ns = {exchange: self._unseen_since_ns.get(exchange, mono_ns) for exchange in unseen}
        for exchange, since_ns in sorted(self._unseen_since_ns.items()):
            if mono_ns - since_ns >= UNSEEN_NS:
                yield Problem(f"link.none.{exchange}", Severity.WARNING, exchange, "no link has been reported")

    @staticmethod
    def _advice(link: Link, problem: Problem) -> ReconnectAdvice:
        kind = problem.key.split(".")[1]
        return ReconnectAdvice(link.exchange, link.slot, link.status.link or link.slot, kind, problem.text)

    def _flow(self, exchange: str) -> Flow:
        """The flow of an exchange; one that nobody remembers where there are too many."""
        self.register_connector(exchange)
        if exchange not in self._connectors:
            return Flow(exchange)
        return self._flows.setdefault(exchange, Flow(exchange))

    def _forgive(self, pause_ns: int, mono_ns: int) -> None:
        for link in self._links.values():
            link.forgive(pause_ns, mono_ns)
        for flow in self._flows.values():
            flow.forgive(pause_ns, mono_ns)
