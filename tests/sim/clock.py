"""Virtual time and seeded chance for everything that runs in a world.

While a `Clock` is entered, the clocks of `time` are those of the simulated loop, `random` and `secrets.token_hex` are
seeded, and real sleeping, sockets and threads raise. Production code binds clocks in other ways, too: as default
arguments and as `from time import …`; what is loaded of it is searched for them. Everything is put back at the end.

Wall time may differ from process to process, by `skew_ns`, as clocks of hosts do.
"""

from __future__ import annotations

import inspect
import random
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from hoga.runtime.logs import RateLimited
from tests.sim.loop import OWNER, SimLoop, SimulationError

WALL_START_NS = 1_760_000_000_000_000_000
PRODUCTION = ("hoga", "services")
real_perf_counter = time.perf_counter


class Clock:
    """Enter it once; `begin` a world on a fresh loop as often as wanted."""

    def __init__(self) -> None:
        self._loop: SimLoop | None = None
        self._undo: list[Callable[[], None]] = []
        self._tokens = random.Random(0)
        self._limiters: list[RateLimited] = []
        self.offset_ns = 0
        """Of the wall clock of the one host that everything runs on."""
        self.skew_ns: dict[str, int] = {}
        """Owner -> what its wall clock is ahead."""

    def begin(self, loop: SimLoop, seed: int) -> None:
        self._loop = loop
        self.offset_ns = 0
        self.skew_ns.clear()
        random.seed(seed)
        self._tokens.seed(seed)
        for limiter in self._limiters:
            limiter._keys.clear()

    def end(self) -> None:
        self._loop = None

    # --- the clocks

    def monotonic(self) -> float:
        return self._live().now

    def monotonic_ns(self) -> int:
        return int(self._live().now * 1e9)

    def time_ns(self) -> int:
        wall_ns = WALL_START_NS + int(self._live().now * 1e9) + self.offset_ns
        return wall_ns + self.skew_ns.get(OWNER.get(), 0) if self.skew_ns else wall_ns

    def time(self) -> float:
        return self.time_ns() / 1e9

    def token_hex(self, count: int | None = None) -> str:
        return f"{self._tokens.getrandbits(8 * (count or 8)):0{2 * (count or 8)}x}"

    def _live(self) -> SimLoop:
        if self._loop is None:
            raise SimulationError("no world runs")
        return self._loop

    # --- patching

    def __enter__(self) -> Clock:
        state = random.getstate()
        self._undo.append(lambda: random.setstate(state))
        instead: dict[Any, Any] = {
            time.monotonic: self.monotonic,
            time.monotonic_ns: self.monotonic_ns,
            time.perf_counter: self.monotonic,
            time.perf_counter_ns: self.monotonic_ns,
            time.time: self.time,
            time.time_ns: self.time_ns,
            time.sleep: _refuse("time.sleep"),
            secrets.token_hex: self.token_hex,
        }
        for module in [module for name, module in sys.modules.items() if name.partition(".")[0] in PRODUCTION]:
            self._search(module, instead)
        self._limiters = _limiters()
        for limiter in self._limiters:
            self._set(limiter, "_clock", self.monotonic)
        for name in ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time", "time_ns", "sleep"):
            self._set(time, name, instead[getattr(time, name)])
        self._set(secrets, "token_hex", self.token_hex)
        self._set(socket, "socket", _refuse("a socket"))
        self._set(threading.Thread, "start", _refuse("a thread"))
        return self

    def __exit__(self, *_: object) -> None:
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        self.end()

    def _search(self, module: ModuleType, instead: dict[Any, Any]) -> None:
        for name, value in list(vars(module).items()):
            if _known(value, instead):
                self._set(module, name, instead[value])
            elif isinstance(value, FunctionType):
                self._search_function(value, instead)
            elif inspect.isclass(value) and value.__module__ == module.__name__:
                for member in list(vars(value).values()):
                    function = getattr(member, "__func__", member)
                    if isinstance(function, FunctionType):
                        self._search_function(function, instead)

    def _search_function(self, function: FunctionType, instead: dict[Any, Any]) -> None:
        if any(_known(value, instead) for value in function.__defaults__ or ()):
            defaults = tuple(instead[v] if _known(v, instead) else v for v in function.__defaults__ or ())
            self._set(function, "__defaults__", defaults)
        if any(_known(value, instead) for value in (function.__kwdefaults__ or {}).values()):
            named = {k: instead[v] if _known(v, instead) else v for k, v in (function.__kwdefaults__ or {}).items()}
            self._set(function, "__kwdefaults__", named)

    def _set(self, owner: Any, name: str, value: Any) -> None:
        before = getattr(owner, name)
        self._undo.append(lambda: setattr(owner, name, before))
        setattr(owner, name, value)


def _known(value: object, instead: dict[Any, Any]) -> bool:
    return callable(value) and isinstance(value, type(time.time) | FunctionType) and value in instead


def _limiters() -> list[RateLimited]:
    """The limiters of log lines that production modules keep: they must not remember an earlier world."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in PRODUCTION]
    return [value for module in modules for value in vars(module).values() if isinstance(value, RateLimited)]


def _refuse(what: str) -> Callable[..., Any]:
    def refuse(*_args: object, **_kwargs: object) -> Any:
        raise SimulationError(f"{what} in a simulation")

    return refuse
