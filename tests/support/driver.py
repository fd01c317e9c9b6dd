"""A book builder in a test's hand: what it decides is returned at once, links are opened as they are named."""

from __future__ import annotations

from typing import Any

from hoga.domain.actions import Action
from hoga.domain.builder import BookBuilder
from hoga.domain.links import LinkEvent, LinkEventKind
from hoga.domain.rules import BookRules, Kind
from hoga.domain.stream_builder import StreamBuilder
from hoga.domain.types import Stamp, Update
from hoga.domain.whole_builder import WholeBuilder


def at(ms: int) -> Stamp:
    return Stamp(ms * 1_000_000, ms * 1_000_000)


class Driver:
    """Every call of a builder, answered by what it decided."""

    def __init__(self, builder: BookBuilder) -> None:
        self.builder = builder
        self.watched = False
        """Whether anybody tells of links; where nobody does, each opens as it is named."""

    @property
    def links(self) -> set[str]:
        """Those that are open."""
        return {link for link, stream in self.builder.ledger.arbiter.streams.items() if stream.open}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.builder, name)
        if not callable(found):
            return found

        def call(*args: Any, **named: Any) -> Any:
            answer = found(*args, **named)
            return self.builder.drain() if answer is None else answer

        return call

    def open(self, link: str, stamp: Stamp, *, settled: bool = False) -> list[Action]:
        self.watched = True
        kind = LinkEventKind.SETTLED if settled else LinkEventKind.OPENED
        return self.on_link(LinkEvent(kind, link), stamp)

    def close(
        self, link: str, stamp: Stamp, *, planned: bool = False, reason: str = "the link is down"
    ) -> list[Action]:
        return self.on_link(LinkEvent(LinkEventKind.CLOSED, link, planned, reason), stamp)

    def report(self, now: set[str], stamp: Stamp, *, planned: bool = True) -> list[Action]:
        """These links are open, and no others."""
        self.watched = True
        decided: list[Action] = []
        for link in sorted(now - self.links):
            decided += self.open(link, stamp)
        for link in sorted(self.links - now):
            decided += self.close(link, stamp, planned=planned)
        return decided

    def receive(self, update: Update, link: str, stamp: Stamp) -> list[Action]:
        if not self.watched and link not in self.links:
            self.builder.on_link(LinkEvent(LinkEventKind.OPENED, link), stamp)
        self.builder.receive(update, link, stamp)
        return self.builder.drain()


def rest(rules: BookRules | None = None, **kind: Any) -> Driver:
    return Driver(StreamBuilder(rules or BookRules(), Kind(overlaps=True, **kind)))


def in_band(rules: BookRules | None = None, **kind: Any) -> Driver:
    return Driver(StreamBuilder(rules or BookRules(), Kind(in_band=True, **kind)))


def by_connection(rules: BookRules | None = None, *, depth: int = 0, **kind: Any) -> Driver:
    made = Kind(in_band=True, ordered=False, kept=depth, truncates=bool(depth), **kind)
    return Driver(StreamBuilder(rules or BookRules(), made))


def whole_frames(rules: BookRules | None = None, **kind: Any) -> Driver:
    return Driver(WholeBuilder(rules or BookRules(), Kind(in_band=True, ordered=False, **kind)))
