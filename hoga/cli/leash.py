"""Children that never outlive `hoga up`, even where it is killed without a chance to clean up."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def leash(parent: int) -> Callable[[], None]:
    """Runs in the child between fork and exec: asks the kernel to kill it when its parent dies.

    SIGKILL, because nobody is left to wait for a drain, and nothing of a service outlives it. Only Linux has
    this; elsewhere a killed parent leaves its children behind.
    """

    def bind() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return bind
