"""What is fuzzed: a name, seeds, mutations, and what may happen with any input at all.

`run(data)` returns whatever tells one sort of outcome from another (new sorts are kept and mutated further), and raises
only where a promise is broken: `BrokenError`, or whatever the code under test let through. Errors that are promised are
caught in `run` itself, by the one class that the code documents.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from random import Random

from tests.fuzz.inputs.mutate import Mutator, mutate


class BrokenError(AssertionError):
    """A promise that an input broke."""


def promise(kept: bool, broken: str) -> None:
    if not kept:
        raise BrokenError(broken)


@dataclass(frozen=True)
class Target:
    name: str
    """`group:exchange`, or the group alone."""
    run: Callable[[bytes], Hashable]
    seeds: Callable[[], Sequence[bytes]]
    mutator: Mutator = mutate
    suite_runs: int = 400
    """Executions within the test suite."""
    memory_bytes: int = 4 << 20
    memory_factor: int = 300
    """An input may cost so much memory at its peak, plus so many bytes for each of its own."""

    @property
    def group(self) -> str:
        return self.name.partition(":")[0]

    def mutate(self, data: bytes, chance: Random, pool: Sequence[bytes]) -> bytes:
        return self.mutator(data, chance, pool)
