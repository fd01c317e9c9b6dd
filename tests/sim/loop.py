"""An event loop with virtual time: when nothing is ready, the clock jumps to the next timer.

1. The order of callbacks is that of asyncio: first in, first out; timers by their moment.
2. Nothing real is waited for: no sockets, no threads; work for an executor runs inline.
3. Every turn of the loop takes a microsecond, so that no busy waiting stands still.
4. Callbacks belong to an owner (a simulated process, by context variable). The callbacks of a held owner are kept back:
   for a while, as SIGSTOP does, or until the world ends, as SIGKILL does: nothing of a dead process runs, no `finally`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any
from weakref import ref

OWNER: ContextVar[str] = ContextVar("owner", default="world")
TURN_S = 1e-6
START_S = 1000.0
EXECUTOR_S = 0.002
"""How long inline work of an executor seems to take."""
MOST_CANCELLED = 200
MOST_TASKS = 4000


class SimulationError(RuntimeError):
    """The simulated code tried what a simulation cannot do, or stands still."""


def context_of(owner: str) -> Context:
    """A context whose callbacks and tasks belong to `owner`."""
    context = copy_context()
    context.run(OWNER.set, owner)
    return context


class SimLoop(asyncio.BaseEventLoop):
    """Use `run_until_complete`. `turns` counts turns of the loop; beyond `limit_s` time is an error."""

    def __init__(self, limit_s: float = 1e9) -> None:
        super().__init__()
        self.now = START_S
        self.turns = 0
        self._limit = START_S + limit_s
        self._held: dict[str, list[asyncio.Handle]] = {}
        self._tasks: list[tuple[str, ref[asyncio.Task[Any]]]] = []

    def time(self) -> float:
        return self.now

    # --- owners

    def hold(self, owner: str) -> None:
        """Keeps back the callbacks of an owner from now on."""
        self._held.setdefault(owner, [])

    def release(self, owner: str) -> None:
        """What was kept back runs now, in its order."""
        self._ready.extend(self._held.pop(owner, []))

    def held(self, owner: str) -> bool:
        return owner in self._held

    # --- tasks

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        task = super().create_task(coro, name=name, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER, "world")
        self._tasks.append((owner, ref(task)))
        if len(self._tasks) > MOST_TASKS:
            self._tasks = [(owner, task) for owner, task in self._tasks if _unfinished(task)]
        return task

    def unfinished(self) -> list[tuple[str, asyncio.Task[Any]]]:
        """(owner, task) of every task that has not ended, oldest first."""
        found = [(owner, reference()) for owner, reference in self._tasks]
        return [(owner, task) for owner, task in found if task is not None and not task.done()]

    # --- one turn

    def _run_once(self) -> None:
        ready, timers = self._ready, self._scheduled
        self.turns += 1
        self.now += TURN_S
        if self._timer_cancelled_count > MOST_CANCELLED:
            self._forget_cancelled()
        while timers and timers[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(timers)._scheduled = False
        if not ready:
            if not timers:
                raise SimulationError("nothing is ready and no timer runs: the world stands still for ever")
            if timers[0]._when > self.now:
                self.now = timers[0]._when
        now = self.now
        if now > self._limit:
            raise SimulationError(f"the world did not end within {self._limit - START_S:g} s")
        while timers and timers[0]._when <= now:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            ready.append(timer)
        held = self._held
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            if held:
                kept = held.get(handle._context.get(OWNER, ""))
                if kept is not None:
                    kept.append(handle)
                    continue
            handle._run()

    def _forget_cancelled(self) -> None:
        kept = []
        for timer in self._scheduled:
            if timer._cancelled:
                timer._scheduled = False
            else:
                kept.append(timer)
        heapq.heapify(kept)
        self._scheduled[:] = kept
        self._timer_cancelled_count = 0

    # --- what a simulation has not

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            result = func(*args)
        except Exception as error:
            self.call_later(EXECUTOR_S, _settle, future, None, error)
        else:
            self.call_later(EXECUTOR_S, _settle, future, result, None)
        return future

    def _write_to_self(self) -> None:
        raise SimulationError("another thread called into the simulated loop")

    def _process_events(self, event_list: Any) -> None:
        raise SimulationError("the simulated loop has no events")

    def _refuse(self, *_args: Any, **_kwargs: Any) -> Any:
        raise SimulationError("real I/O in a simulation")

    create_connection = create_server = create_datagram_endpoint = getaddrinfo = _refuse
    create_unix_connection = create_unix_server = add_reader = add_writer = _refuse
    subprocess_exec = subprocess_shell = connect_read_pipe = connect_write_pipe = add_signal_handler = _refuse


def _unfinished(reference: ref[asyncio.Task[Any]]) -> bool:
    task = reference()
    return task is not None and not task.done()


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
