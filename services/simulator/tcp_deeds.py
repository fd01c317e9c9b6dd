"""Deeds of the TCP proxy in front (`FaultProxy`), under the names of scenario files and of `POST /control`.

They concern connections, whosever they are: a proxy knows no protocol. `way` is "up" (towards the simulator), "down"
(towards the client) or "both"; without `seconds` a fault lasts until `tcp_heal`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.simulator.proxy import FaultProxy
    from services.simulator.world import World

Deed = dict[str, Any]


class TcpDeeds:
    world: World

    def tcp_rst(self, count: int | None = None, way: str = "both") -> Deed:
        """Connections (all, or the oldest `count`) are reset; with one way only that end is told."""
        return {"connections": self._proxy.rst(count, way)}

    def tcp_fin(self, count: int | None = None, way: str = "both") -> Deed:
        """Connections end in order; with one way only that end is told."""
        return {"connections": self._proxy.fin(count, way)}

    def tcp_half_open(self, seconds: float | None = None, count: int | None = None, way: str = "both") -> Deed:
        """What is sent on the open connections vanishes and nothing closes; at the end they are reset."""
        return {"connections": self._proxy.half_open(seconds, count, way)}

    def tcp_stall(self, seconds: float | None = None) -> Deed:
        """New connections are accepted and get no answer."""
        self._proxy.stall(seconds)
        return {"stalled": True}

    def tcp_refuse(self, seconds: float | None = None) -> Deed:
        """New connections are refused."""
        self._proxy.refuse(seconds)
        return {"refused": True}

    def tcp_slice(self, most: int = 1, seconds: float | None = None, way: str = "both") -> Deed:
        """Bytes arrive in pieces of 1 to `most`."""
        self._proxy.slice(most, seconds, way)
        return {"most": most}

    def tcp_delay(self, by_s: float, seconds: float | None = None, way: str = "both", jitter_s: float = 0.0) -> Deed:
        """Bytes arrive `by_s` later, up to `jitter_s` more."""
        self._proxy.delay(by_s, seconds, way, jitter_s)
        return {"by_s": by_s}

    def tcp_throttle(self, bytes_per_s: float, seconds: float | None = None, way: str = "both") -> Deed:
        """No more bytes a second than that on each connection."""
        self._proxy.throttle(bytes_per_s, seconds, way)
        return {"bytes_per_s": bytes_per_s}

    def tcp_heal(self) -> Deed:
        """Ends every fault of the proxy that lasts."""
        self._proxy.heal()
        return {"healed": True}

    @property
    def _proxy(self) -> FaultProxy:
        if self.world.proxy is None:
            raise ValueError("no proxy runs in front; start with --proxy-port")
        return self.world.proxy
