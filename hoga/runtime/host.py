"""Which host, and which run of it: processes with the same answer share a monotonic clock."""

from __future__ import annotations

import functools
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@functools.cache
def clock_id() -> str:
    """The kernel's own name for this run of the machine; empty where it has none (not Linux)."""
    try:
        return _BOOT_ID.read_text("ascii").strip()[:64]
    except (OSError, UnicodeDecodeError):
        return ""
