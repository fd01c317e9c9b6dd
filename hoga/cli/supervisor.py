"""All processes of `hoga up`: started in order, the last started stopped first, none left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from hoga.cli.child import Child, ChildSpec, Death, Line
from hoga.domain.errors import HogaError

READY_PATIENCE_S = 30.0
GRACE_S = 12.0
"""Services drain for at most 10 s."""
SERVER_GRACE_S = 3.0
_PROBE_S = 0.05


class Supervisor:
    """`failed` is set when a process without which the rest is of no use has given up."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        logs: Path,
        *,
        on_line: Callable[[str, Line], None],
        on_death: Callable[[Death], None],
    ) -> None:
        self.failed = asyncio.Event()
        self._on_death = on_death
        self.children = [Child(spec, logs / f"{spec.name}.log", on_line=on_line, on_death=self._died) for spec in specs]
        self._started: list[Child] = []

    async def start(self, ready: dict[str, Callable[[], Awaitable[bool]]]) -> None:
        """Starts every process in turn. The `first` ones must be ready before the next; `ready` says by name
        whether they are. HogaError where one is not in time, or has given up."""
        for child in self.children:
            self._started.append(child)
            try:
                await child.start()
            except OSError as error:
                raise HogaError(f"cannot start {child.spec.name}: {error.strerror or error}") from None
            if child.spec.first and child.spec.name in ready:
                await self._until_ready(child, ready[child.spec.name])

    def gave_up(self, name: str) -> bool:
        """Whether that process ended for good."""
        return any(child.given_up for child in self.children if child.spec.name == name)

    async def stop(self) -> list[str]:
        """Ends every process that was started, those that others rest on last; the names of those that had to
        be killed."""
        resting = [child for child in self._started if not child.spec.first]
        stubborn = await _stop(resting, GRACE_S)
        for child in reversed([child for child in self._started if child.spec.first]):
            stubborn += await _stop([child], SERVER_GRACE_S)
        return stubborn

    def kill(self) -> None:
        """Ends every process at once."""
        for child in self._started:
            child.kill()

    async def _until_ready(self, child: Child, ready: Callable[[], Awaitable[bool]]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_PATIENCE_S):
                while not child.given_up:
                    if await ready():
                        return
                    await asyncio.sleep(_PROBE_S)
            raise HogaError(f"{child.spec.name} cannot start with these settings")
        raise HogaError(f"{child.spec.name} was not ready within {READY_PATIENCE_S:g} s")

    def _died(self, death: Death) -> None:
        self._on_death(death)
        if any(child.given_up and child.spec.essential for child in self._started):
            self.failed.set()


async def accepts(host: str, port: int, greeting: bytes = b"") -> bool:
    """Whether somebody listens there, and begins with `greeting`."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1.0)
    except (OSError, TimeoutError):
        return False
    try:
        return not greeting or await asyncio.wait_for(reader.read(len(greeting)), 1.0) == greeting
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()


async def _stop(children: Sequence[Child], grace_s: float) -> list[str]:
    outcomes = await asyncio.gather(*(child.stop(grace_s) for child in children))
    return [child.spec.name for child, orderly in zip(children, outcomes, strict=True) if not orderly]
