"""The NATS of `hoga up`: the one that was named, the one that is there, or one of our own.

1. A server that was named (`--nats`, HOGA_NATS_URL, hoga.toml) is used where it answers. Where it does not and
   its address is this machine's, one is started there; elsewhere that is an error.
2. Without a name the default address is treated so too, except that what is busy or already serves another hoga
   is left alone, and ours is started on any free port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from hoga.cli import ports
from hoga.cli.child import ChildSpec
from hoga.cli.options import shown
from hoga.client import Client
from hoga.domain.errors import BusError, ConfigError
from hoga.runtime.config import NatsSettings
from hoga.runtime.nats_server import find_binary, server_config

LISTEN_FOR_HOGA_S = 1.6
"""Every process of hoga reports each second."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_DEFAULT_PORT = 4222
_BUILTIN = NatsSettings().url


@dataclass(frozen=True, slots=True)
class NatsPlan:
    """Where the bus is, and the server to start for it (None: it runs already). `note` is for the user."""

    settings: NatsSettings
    server: ChildSpec | None
    note: str


async def plan_nats(settings: NatsSettings, flag: str | None, env: Mapping[str, str], folder: Path) -> NatsPlan:
    """Decides by the rules above; `folder` is for an embedded server's files. ConfigError or BusError of one line."""
    explicit = flag is not None or bool(env.get("HOGA_NATS_URL")) or settings.url != _BUILTIN
    address = _single(settings.url)
    if address is None or address[0] not in _LOOPBACK:
        await _must_answer(settings)
        return NatsPlan(settings, None, shown(settings.url))
    host, port = address
    if ports.greets(host, port):
        others = await other_hoga(settings)
        if not others:
            return NatsPlan(settings, None, f"{shown(settings.url)} (was running already)")
        if explicit:
            raise ConfigError(
                f"another hoga runs on {shown(settings.url)} already ({', '.join(others)}): stop it, or give "
                "another NATS with --nats"
            )
        return _embedded(settings, host, ports.any_free(host), folder, "another hoga has the default one")
    free = ports.choose(host, port, explicit=explicit, what="NATS server", change="--nats URL or HOGA_NATS_URL")
    return _embedded(settings, host, free, folder, "" if free == port else f"port {port} is busy")


async def other_hoga(settings: NatsSettings) -> list[str]:
    """The services that publish books there now, by name."""
    found = set()
    async with Client(settings=settings, name="hoga-up", timeout_s=3.0) as client, client.health() as reports:
        try:
            async with asyncio.timeout(LISTEN_FOR_HOGA_S):
                async for report in reports:
                    found.add(report.service)
        except TimeoutError:
            pass
    return sorted(name for name in found if name == "validator" or name.startswith("ingest"))


def _embedded(settings: NatsSettings, host: str, port: int, folder: Path, why: str) -> NatsPlan:
    config = folder / "nats.conf"
    config.write_text(server_config(host, port, folder), "utf-8")
    url = f"nats://{host}:{port}"
    note = f"{url} (embedded{'; ' + why if why else ''})"
    server = ChildSpec("nats", (str(find_binary()), "-c", str(config)), first=True)
    return NatsPlan(msgspec.structs.replace(settings, url=url), server, note)


async def _must_answer(settings: NatsSettings) -> None:
    client = Client(settings=settings, name="hoga-up", timeout_s=3.0)
    try:
        await client.connect()
    except BusError as error:
        raise BusError(f"cannot reach NATS at {shown(settings.url)} ({error})") from None
    finally:
        await client.close()


def _single(url: str) -> tuple[str, int] | None:
    """(host, port) where the address is one plain NATS server."""
    parts = urlsplit(url)
    if "," in url or parts.scheme != "nats" or not parts.hostname:
        return None
    return parts.hostname, parts.port or _DEFAULT_PORT
