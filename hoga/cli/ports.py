"""Which port a process of `hoga up` gets: the one asked for or none, the default or any free one."""

from __future__ import annotations

import contextlib
import errno
import socket

from hoga.domain.errors import ConfigError


def choose(host: str, port: int, *, explicit: bool, what: str, change: str) -> int:
    """`port` where it is free. Busy: ConfigError naming `change` where it was asked for (`explicit`), else any
    free port. 0 is any free port."""
    if port == 0:
        return any_free(host)
    trouble = _try(host, port)
    if trouble is None:
        return port
    if trouble == errno.EADDRINUSE and not explicit:
        return any_free(host)
    if trouble == errno.EADDRINUSE:
        raise ConfigError(f"port {port} on {host} is busy: the {what} needs another one ({change})")
    if trouble in (errno.EACCES, errno.EPERM):
        raise ConfigError(f"port {port} on {host} is not permitted: the {what} needs one above 1023 ({change})")
    raise ConfigError(f"the {what} cannot listen on {host}:{port}: no such address here ({change})")


def any_free(host: str) -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            raise ConfigError(f"{host} is not an address of this machine") from None
        port: int = probe.getsockname()[1]
        return port


def accepts(host: str, port: int, *, patience_s: float = 0.5) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=patience_s):
        return True
    return False


def greets(host: str, port: int, *, patience_s: float = 1.0) -> bool:
    """Whether a NATS server listens there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=patience_s) as probe:
        return probe.recv(5).startswith(b"INFO")
    return False


def _try(host: str, port: int) -> int | None:
    """None where the port can be listened on, else the errno."""
    try:
        with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
    return None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
