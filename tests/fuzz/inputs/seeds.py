"""Seeds: the contract samples of an exchange, and a little of its simulated traffic. No exchange is named here."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from hoga.exchanges import registry
from hoga.exchanges.base import RestKind, RouteKind
from tests.contract.samples import SAMPLES, Samples
from tests.support import simtape


@dataclass(frozen=True)
class Seeds:
    """What one exchange sends, by what it is."""

    samples: Samples
    frames: list[bytes]
    """Of every sort."""
    stream: list[tuple[str, bytes]]
    """A simulated recording: ("connect" | "send" | "recv" | "http:<kind>:<native>", bytes), in order."""
    bodies: list[bytes]
    urls: list[str]
    natives: list[str] = field(default_factory=list)
    """The markets of `stream`."""


@cache
def of(code: str) -> Seeds:
    exchange, samples = registry.get(code), SAMPLES[code]
    strategy = exchange.strategy
    records, truth = simtape.record(code, seconds=4.0, symbols=2, seed=5, max_levels=30)
    stream: list[tuple[str, bytes]] = []
    urls = [record["url"] for record in records if record["url"]]
    for record in records:
        kind = record["kind"]
        if kind == "http":
            match = strategy.match_rest(record["url"])
            kind = f"http:{match.kind.value}:{match.native_symbol}" if match else "http::"
        stream.append((kind, (record["data"] or "").encode()))
    received = [data for kind, data in stream if kind == "recv"]
    control = [samples.acks, samples.refusals, samples.alive, samples.other]
    frames = [*samples.books, *(frame for group in control for frame in group), *_varied(code, received)]
    bodies = [samples.snapshot, *samples.instruments, *samples.tickers, *samples.rest_errors]
    bodies += {data: None for kind, data in stream if kind.startswith("http")}
    requests = [strategy.snapshot_request(samples.native), *strategy.instruments_requests()]
    requests += strategy.tickers_requests([samples.native])
    urls += [strategy.endpoints.rest + request.path for request in requests]
    urls += [strategy.ws_url(strategy.endpoints), *(f"https://x.{host.lstrip('.')}" for host in exchange.hosts)]
    return Seeds(samples, frames, stream, bodies, list(dict.fromkeys(urls)), list(truth))


def snapshot_kind(native: str) -> str:
    """How a REST snapshot is called in `Seeds.stream`."""
    return f"http:{RestKind.SNAPSHOT.value}:{native}"


def _varied(code: str, received: list[bytes]) -> list[bytes]:
    """A few frames of each sort, the first and the largest."""
    route = registry.get(code).strategy.route
    sorts: dict[tuple[RouteKind, int], list[bytes]] = {}
    for frame in received:
        sorts.setdefault((route(frame).kind, len(frame).bit_length()), []).append(frame)
    return [frame for found in sorts.values() for frame in found[:3]]
