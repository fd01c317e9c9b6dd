"""Every target. Exchanges come from the registry: a new one is fuzzed without a line here."""

from __future__ import annotations

from functools import cache

from tests.fuzz.target import Target


@cache
def every() -> dict[str, Target]:
    """By name."""
    from tests.fuzz.targets import (
        aggregator,
        client,
        decoders,
        files,
        headers,
        ingest,
        levels,
        monitor,
        numbers,
        shelf,
        simulator,
        validator,
    )

    wire = (decoders, numbers, levels, headers, files)
    parts = (*wire, shelf, validator, ingest, aggregator, monitor, client, simulator)
    return {target.name: target for part in parts for target in part.targets()}
