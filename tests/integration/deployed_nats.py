"""A real nats-server that runs deploy/nats/nats.conf, and clients of it: what the tests of the permissions share."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from hoga.runtime.nats_bus import NatsBus, connect_nats
from hoga.runtime.settings import NatsSettings
from hoga.testing.nats_server import NatsServer

CONFIG = Path(__file__).parents[2] / "deploy" / "nats" / "nats.conf"
PASSWORDS = {
    "ingest": "12345",
    "validator": "a#b",
    "aggregator": "two words",
    "monitor": "$HOME",
    "window": "{x: 1}",
    "consumer": "consumer",
}
"""With all that a configuration file could misread."""

_DENIED = re.compile(r"permissions violation for (?:publish|subscription) to \"([^\"]+)\"")


@contextmanager
def deployed_server(folder: Path) -> Iterator[NatsServer]:
    """The server of docker-compose.yml, but for its addresses and its folder."""
    text = CONFIG.read_text("utf-8")
    for line, instead in {
        'listen: "0.0.0.0:4222"': "",
        'http: "127.0.0.1:8222"': "",
        'store_dir: "/tmp/nats"': f'store_dir: "{folder}"',
    }.items():
        assert text.count(line) == 1, f"{CONFIG} has changed: {line}"
        text = text.replace(line, instead)
    with pytest.MonkeyPatch.context() as environment:
        for user, password in PASSWORDS.items():
            environment.setenv(f"NATS_{user.upper()}_PASSWORD", f'"{password}"')
        with NatsServer(config=text) as server:
            yield server


@asynccontextmanager
async def bus_of(server: NatsServer, user: str) -> AsyncIterator[NatsBus]:
    """A bus as the services and `hoga.client` use it."""
    settings = NatsSettings(url=server.url, user=user, password=PASSWORDS[user])
    bus = await connect_nats(settings, name=user, timeout_s=30.0)
    try:
        yield bus
    finally:
        await bus.close()


class Probe:
    """A bare client that tries things and is told what it may not do."""

    def __init__(self) -> None:
        self.client = Client()
        self._errors: list[str] = []

    async def connect(self, server: NatsServer, user: str) -> None:
        await self.client.connect(
            server.url, user=user, password=PASSWORDS[user], error_cb=self._note, skip_subject_validation=True
        )

    async def _note(self, error: Exception) -> None:
        self._errors.append(str(error).lower())

    async def denied(self) -> set[str]:
        """Subjects denied since the last call, in lower case as nats-py tells them."""
        for _ in range(2):  # nats-py's first ping overtakes what it still holds
            await self.client.flush(30)
        found = {match[1] for error in self._errors if (match := _DENIED.search(error))}
        self._errors.clear()
        return found

    async def may_publish(self, subjects: Iterable[str]) -> set[str]:
        """Those of `subjects` that it may publish on; each gets an empty message."""
        tried = list(subjects)
        for subject in tried:
            await self.client.publish(subject)
        denied = await self.denied()
        return {subject for subject in tried if subject.lower() not in denied}

    async def may_subscribe(self, subjects: Iterable[str]) -> set[str]:
        tried = list(subjects)
        subscriptions = [await self.client.subscribe(subject) for subject in tried]
        denied = await self.denied()
        for subject, subscription in zip(tried, subscriptions, strict=True):
            if subject.lower() not in denied:
                await subscription.unsubscribe()
        return {subject for subject in tried if subject.lower() not in denied}


@asynccontextmanager
async def probe_of(server: NatsServer, user: str) -> AsyncIterator[Probe]:
    probe = Probe()
    await probe.connect(server, user)
    try:
        yield probe
    finally:
        await probe.client.close()
