"""The scenario files of `examples/scenarios`: each is played to its end, in virtual time, against a simulator that
serves and a TCP proxy in front of it; no action fails, and what was struck is at work again."""

from __future__ import annotations

import asyncio
import contextlib
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.simulator.actions import ACTIONS
from services.simulator.faults import FRAME_FAULTS
from services.simulator.options import Options
from services.simulator.player import Player
from services.simulator.proxy import FaultProxy
from services.simulator.scenario import Scenario, load
from services.simulator.server import SimulatorServer
from services.simulator.venues.registry import emulated
from tests.support.memory_link import Client, Clock

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "examples" / "scenarios").glob("*.toml"))
STEP_S = 0.2
CODES = emulated()
OPTIONS = Options(symbols=6, rate=1.0, quiet=0.0, max_levels=60, client_limits=False)
STRUCK_LATER = {*FRAME_FAULTS, "cross", "delay", "reset", "retick"}
"""Actions that arm something: whether it struck is in the report."""


def names(scenario: Scenario) -> set[str]:
    chosen = scenario.weather.choices if scenario.weather else ()
    return {step.action for step in (*scenario.steps, *(step for _, step in chosen))}


class Listeners:
    """On every exchange one link that hears all markets, opened again whenever it is closed or has fallen silent."""

    def __init__(self, server: SimulatorServer) -> None:
        self.server = server
        self.links: dict[str, Client] = {}
        self.opened = 0

    def hear(self) -> None:
        for code in CODES:
            client = self.links.get(code)
            if client is None or client.closed or client.link.silent:
                if client is not None:
                    self.server.venues[code].detach(client.link)
                self.opened += 1
                client = self.links[code] = Client(self.server, code, 1000 + self.opened)
                client.subscribe(*client.venue.natives())
            client.hear()
            client.raw.clear()


@contextlib.asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[None]:
    """A connection through the proxy, made again whenever it has ended."""

    async def keep() -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
                try:
                    await reader.read()
                finally:
                    writer.close()
            await asyncio.sleep(0)

    task = asyncio.create_task(keep())
    try:
        while not proxy.connections:
            await asyncio.sleep(0)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def play(scenario: Scenario) -> tuple[Player, SimulatorServer]:
    clock = Clock()
    async with SimulatorServer(OPTIONS, clock=clock.now) as server:
        async with FaultProxy("127.0.0.1", int(server.url.rsplit(":", 1)[1])) as proxy, connected(proxy):
            server.proxy = proxy
            player, listeners = Player(scenario, server), Listeners(server)
            while clock.ns < scenario.duration_s * 1e9 or player.advance(clock.ns / 1e9) is not None:
                player.advance(clock.ns / 1e9)
                clock.ns += int(STEP_S * 1e9)
                while server.advance():
                    pass
                listeners.hear()
                await asyncio.sleep(0)
        return player, server


def test_there_are_files_and_together_they_use_every_action_there_is() -> None:
    used = {action for path in FILES for action in names(load(path))}
    assert used == set(ACTIONS), "an action without an example in examples/scenarios"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_it_is_played_to_its_end_and_no_action_fails(path: Path) -> None:
    scenario = load(path)
    player, server = await play(scenario)
    assert player.refused == {}, (player.summary(), [one for one in player.done if one.answer is None])
    undone = {ACTIONS[action].undone_by for action in names(scenario)}
    assert names(scenario) <= set(player.counts) <= names(scenario) | undone
    planned = {step.action for step in scenario.steps}
    for outcome in player.done:
        answer = outcome.answer or {}
        if answer.get("links", answer.get("connections", 1)):
            planned.discard(outcome.action)
    assert planned == set(), "there was no link to strike"
    struck = {name for faults in server.faults.report().values() for name, count in faults["struck"].items() if count}
    assert struck >= names(scenario) & STRUCK_LATER
    for code, market in server.market.exchanges.items():
        for native, symbol in market.symbols.items():
            assert (symbol.still, symbol.quiet) == (False, False), f"{code} {native} is left as it is"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_head_says_what_it_is_for_and_how_it_is_played(path: Path) -> None:
    head = path.read_text("utf-8").partition("\n\n")[0].splitlines()
    assert all(line.startswith("#") for line in head)
    command = f"#     python -m services.simulator --scenario examples/scenarios/{path.name}"
    proxied = any(action.startswith("tcp_") for action in names(load(path)))
    assert command + (" --proxy-port 9300" if proxied else "") in head
    assert tomllib.loads(path.read_text("utf-8"))["duration_s"] > 0
