"""What faster links bring before their turn: a chain for each, kept until the book has come to where it begins.

Two lines of one stream are seldom equally fast. A link that begins beyond the book is no gap while another one leads it
on; what it brings meanwhile follows as soon as the book is there, so that the faster one leads from then on.
"""

from __future__ import annotations

from hoga.domain.joining import JoinBuffer
from hoga.domain.sequencer import REMEMBERED_LINKS
from hoga.domain.types import Update

Chain = list[tuple[str, Update]]
"""Deltas in order, each with the link that brought it."""


class Early:
    """Bounded like the deltas that wait for a snapshot. Of too many links all is forgotten, which costs a gap."""

    def __init__(self, limit: int, age_ns: int) -> None:
        """At most `limit` updates a link, none older than `age_ns`."""
        self._limit, self._age_ns = limit, age_ns
        self._chains: dict[str, JoinBuffer] = {}

    def keep(self, link: str, update: Update, mono_ns: int) -> None:
        """The newest delta of a link; where it does not follow on the one before, the chain begins with it."""
        chain = self._chains.get(link)
        if chain is None:
            if len(self._chains) >= REMEMBERED_LINKS:
                self._chains.clear()
            chain = self._chains[link] = JoinBuffer(self._limit, self._age_ns)
        chain.add(link, update, mono_ns)

    def take(self, link: str) -> Chain:
        """The chain of a link, which is not kept any longer; empty where there is none."""
        chain = self._chains.pop(link, None)
        return list(chain.updates) if chain is not None else []

    def chains(self) -> list[Chain]:
        """Everything that is kept."""
        return [list(chain.updates) for chain in self._chains.values()]

    def reached(self, last: int) -> list[str]:
        """The links whose chains begin no later than the book ends."""
        return [link for link, chain in self._chains.items() if _begins(chain, last)]

    def leave(self, last: int) -> None:
        """Keeps only what a new book that ends at `last` can go on with."""
        self._chains = {link: chain for link, chain in self._chains.items() if _begins(chain, last)}

    def clear(self) -> None:
        self._chains.clear()


def _begins(chain: JoinBuffer, last: int) -> bool:
    return bool(chain.updates) and chain.updates[0][1].prev_seq <= last
