"""Inputs that once failed, one file each: `cases/<group>/<what it is>.bin`, run against every target of the group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.target import Target
from tests.fuzz.targets import every

FOLDER = Path(__file__).parent / "cases"


def cases() -> Iterator[tuple[Target, Path]]:
    for path in sorted(FOLDER.glob("*/*.bin")):
        for target in every().values():
            if target.group == path.parent.name:
                yield target, path
