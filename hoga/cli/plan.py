"""Which processes `hoga up` runs, with which environment. Pure: settings in, specs out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import hoga
from hoga.cli.child import ChildSpec
from hoga.exchanges import registry
from hoga.runtime.config import NatsSettings


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for, everything decided."""

    exchanges: Sequence[str]
    nats: NatsSettings
    web_port: int
    simulator: tuple[str, int] | None
    """(host, port), None against the real exchanges."""
    config: Path | None = None
    logs: Path | None = None
    """Where the raw and book log files go; None: as the settings say."""


def children(wishes: Wishes) -> list[ChildSpec]:
    """The processes in the order of starting (the NATS server aside)."""
    env = environment(wishes)
    specs = []
    if wishes.simulator is not None:
        exchanges = ",".join(wishes.exchanges)
        specs.append(_service("simulator", env, "--exchanges", exchanges, first=True))
    specs.append(_service("validator", env))
    specs.append(_service("aggregator", env, essential=False))
    specs += [
        _service("ingest", env, "--exchange", code, name=ingest_name(code), essential=False)
        for code in wishes.exchanges
    ]
    specs.append(_service("monitor", env, essential=False))
    return specs


def ingest_name(code: str) -> str:
    return f"ingest-{code.replace('_', '-')}"


def environment(wishes: Wishes) -> dict[str, str]:
    """What every child gets over the environment of `hoga up`."""
    env = {
        "HOGA_NATS_URL": wishes.nats.url,
        "HOGA_MONITOR_PORT": str(wishes.web_port),
        # One host, many processes: each takes any free port and logs it.
        "HOGA_METRICS_PORT": "0",
        "PYTHONUNBUFFERED": "1",
        # `python -m services.…` must find the services wherever `hoga up` was called.
        "PYTHONPATH": str(Path(hoga.__file__).resolve().parents[1]),
    }
    if wishes.config is not None:
        env["HOGA_CONFIG"] = str(wishes.config.resolve())
    if wishes.logs is not None:
        env["HOGA_LOG_DIRECTORY"] = str(wishes.logs.resolve())
    for code in registry.supported():
        env[f"HOGA_EXCHANGES_{code.upper()}_ENABLED"] = str(int(code in wishes.exchanges))
    if wishes.simulator is not None:
        host, port = wishes.simulator
        env["HOGA_SIMULATOR_HOST"] = host
        env["HOGA_SIMULATOR_PORT"] = str(port)
        for code in wishes.exchanges:
            env[f"HOGA_EXCHANGES_{code.upper()}_WS_URL"] = f"ws://{host}:{port}/{code}"
            env[f"HOGA_EXCHANGES_{code.upper()}_REST_URL"] = f"http://{host}:{port}/{code}"
    return env


def _service(
    service: str,
    env: dict[str, str],
    *arguments: str,
    name: str = "",
    essential: bool = True,
    first: bool = False,
) -> ChildSpec:
    command = (sys.executable, "-m", f"services.{service}", *arguments)
    return ChildSpec(name or service, command, env, essential=essential, first=first)
