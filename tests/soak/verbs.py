"""What a soak run can do to the system: one method each, named after the fault it is counted under.

`feed` faults leave our processes alone, `system` faults strike them and the bus, `listing` faults change what the
exchanges list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from tests.soak.verbs_feed import FrameVerbs, LinkVerbs, RestVerbs
from tests.soak.verbs_system import BusVerbs, ClockVerbs, ListingVerbs, ProcessVerbs

Verb = Callable[[], Coroutine[Any, Any, None]]


class Verbs(FrameVerbs, LinkVerbs, RestVerbs, ListingVerbs, ClockVerbs, ProcessVerbs, BusVerbs):
    GROUPS: ClassVar[dict[str, tuple[type, ...]]] = {
        "feed": (FrameVerbs, LinkVerbs, RestVerbs, ClockVerbs),
        "system": (ProcessVerbs, BusVerbs),
        "listing": (ListingVerbs,),
    }

    @classmethod
    def names(cls, *groups: str) -> list[str]:
        return sorted(
            name.removeprefix("do_")
            for group in groups
            for kind in cls.GROUPS[group]
            for name in vars(kind)
            if name.startswith("do_")
        )

    async def strike(self, name: str, injected: Counter[str]) -> None:
        injected[name] += 1
        await getattr(self, f"do_{name}")()
