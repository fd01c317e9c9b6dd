"""What a mutant is: a small, plausible bug, and the tests that must catch it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    name: str
    what: str
    file: str
    old: str
    """Stands exactly once in the file."""
    new: str
    tests: tuple[str, ...]
