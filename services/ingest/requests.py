"""Requests of one link that wait for their answer. Pure: times come in as arguments.

A request is answered when each of its symbols is: acknowledged, refused, or sending frames since it was asked for.
An answer that names symbols concerns these alone; one that names neither symbols nor a request, the oldest request. A
refusal that names neither concerns the oldest one that subscribes, and all of its symbols, also those that seem to be
answered: their frames were of a subscription that has ended since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Try:
    """Symbols to subscribe with one request."""

    natives: tuple[str, ...]
    answers: int = 0
    """Answers that the link had given when they were first asked for."""
    attempt: int = 1
    """Counts the requests for them that nobody answered."""
    setbacks: int = 0
    """Counts the refusals for a passing reason."""


@dataclass(frozen=True, slots=True)
class Request:
    """One subscribe or unsubscribe request on its way."""

    tried: Try
    open: dict[str, int]
    """Symbols that are not answered yet -> frames they had sent when they were asked for."""
    sent_s: float
    subscribes: bool


class Requests:
    """What is on its way. `frames(native)` counts the frames that a symbol has sent on this link."""

    def __init__(self, frames: Callable[[str], int]) -> None:
        self.answers = 0
        """Answers so far, of any sort."""
        self._frames = frames
        self._pending: dict[int, Request] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._pending.values()))

    def add(self, tried: Try, now_s: float, *, subscribes: bool) -> int:
        """The id to send the request with."""
        self._last_id += 1
        marks = {native: self._frames(native) for native in tried.natives}
        self._pending[self._last_id] = Request(tried, marks, now_s, subscribes)
        return self._last_id

    def remove(self, request: Request) -> None:
        self._pending = {key: other for key, other in self._pending.items() if other is not request}

    def clear(self) -> None:
        self._pending.clear()

    def answer(
        self, request_id: int | None, natives: Sequence[str], *, refuses: bool = False
    ) -> list[tuple[Request, list[str]]]:
        """Takes in an answer: each request it concerns, with the symbols that are answered by it."""
        self.answers += 1
        if natives:
            return [found for native in natives if (found := self._answer_one(request_id, native)) is not None]
        key = next(iter(self._pending), None) if request_id is None else request_id
        if refuses and request_id is None:
            key = next((key for key, request in self._pending.items() if request.subscribes), key)
        request = self._pending.pop(key, None) if key is not None else None
        if request is None:
            return []
        return [(request, list(request.tried.natives if refuses else request.open))]

    def answered_by_frames(self) -> list[str]:
        """Symbols that have begun to send frames since they were asked for."""
        found = []
        for request in self:
            if request.subscribes:
                sending = [native for native, mark in request.open.items() if self._frames(native) > mark]
                found += sending
                self._close(request, sending)
        self.answers += len(found)
        return found

    def expired(self, before_s: float) -> list[Request]:
        """Takes out what was sent before that moment and is still open."""
        found = [request for request in self if request.sent_s <= before_s]
        for request in found:
            self.remove(request)
        return found

    def _answer_one(self, request_id: int | None, native: str) -> tuple[Request, list[str]] | None:
        named = self._pending.get(request_id) if request_id is not None else None
        request = named or next((request for request in self._pending.values() if native in request.open), None)
        if request is None or native not in request.open:
            return None
        self._close(request, [native])
        return request, [native]

    def _close(self, request: Request, natives: Sequence[str]) -> None:
        for native in natives:
            del request.open[native]
        if not request.open:
            self.remove(request)
