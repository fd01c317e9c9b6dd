"""Where the recorded tapes are; tests that need them skip with a clear reason where they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "tapes"


def folder() -> Path | None:
    """The folder of `HOGA_TAPES`, or `../shared/tapes` beside the project; None where neither exists."""
    named = os.environ.get("HOGA_TAPES")
    path = Path(named) if named else _DEFAULT
    return path if path.is_dir() else None


def tape(name: str) -> Path:
    """One tape; skips the test where it is not at hand."""
    root = folder()
    if root is None or not (root / name).is_file():
        pytest.skip(f"tape {name} is not at hand: set HOGA_TAPES to the folder of recorded tapes")
    return root / name
