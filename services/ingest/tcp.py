"""What the kernel knows of a connection and a websocket does not tell."""

from __future__ import annotations

import socket
import struct
from typing import Any

_LAST_DATA_RECV = 52
"""Where `tcpi_last_data_recv` (milliseconds) stands in Linux's `struct tcp_info`, see linux/tcp.h."""


def since_bytes_s(connection: Any) -> float:
    """Seconds since bytes arrived on a connection, be they a part of a frame; infinite where that is not known."""
    inner = connection.get_extra_info("socket") if hasattr(connection, "get_extra_info") else None
    option = getattr(socket, "TCP_INFO", None)
    if inner is None or option is None:
        return float("inf")
    try:
        info = inner.getsockopt(socket.IPPROTO_TCP, option, _LAST_DATA_RECV + 4)
        (milliseconds,) = struct.unpack_from("=I", info, _LAST_DATA_RECV)
    except (OSError, struct.error):
        return float("inf")
    return float(milliseconds) / 1000
