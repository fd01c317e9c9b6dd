"""What one link shall carry, what was asked of the exchange, and what it answered. Pure: frames out, answers in.

The wish is a set; requests follow from the difference between wish and what was asked, so that changes
that come faster than we may send melt into one request, and nothing queues up.

1. New symbols are asked for before old ones are given up, unless the link would then hold too many.
2. Where a request replaces the whole subscription, the full list is sent again; where nothing can be
   unsubscribed, symbols given up are forgotten (the link filters their frames).
3. A refused request of several symbols is asked again in halves until the one that is refused stands
   alone: it is reported, the others are served.
4. A request that is not answered is asked again; after `MAX_ATTEMPTS` the link is called deaf.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hoga.exchanges.base import ConnectionStrategy

ACK_PATIENCE_S = 10.0
"""How long an answer may take (ten seconds have been seen) before the request is repeated."""
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Request:
    """One subscribe or unsubscribe request on its way."""

    natives: tuple[str, ...]
    sent_s: float
    subscribes: bool
    attempt: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The exchange refused a request for good; `natives` is empty where it does not say which."""

    natives: tuple[str, ...]
    detail: str


class Subscriptions:
    """The subscription of one link. Times are seconds of any one monotonic clock."""

    def __init__(self, strategy: ConnectionStrategy, *, ack_patience_s: float = ACK_PATIENCE_S) -> None:
        self._strategy = strategy
        self._ack_patience_s = ack_patience_s
        self._wanted: dict[str, None] = {}
        self._asked: dict[str, float] = {}
        self._refused: dict[str, str] = {}
        self._renewals: dict[str, None] = {}
        self._again: deque[tuple[tuple[str, ...], int]] = deque()
        self._pending: dict[int, Request] = {}
        self._dirty = False
        self._last_id = 0
        self.deaf = False

    # --- the wish

    def want(self, natives: Iterable[str]) -> None:
        """The whole wish, replacing the one before."""
        self._wanted = dict.fromkeys(natives)
        self._refused = {native: why for native, why in self._refused.items() if native in self._wanted}
        self._dirty = True

    def renew(self, native: str) -> bool:
        """Drops and takes again one subscription; False where the exchange has no way to do so."""
        if native not in self._wanted:
            return False
        if not self._strategy.replaces_subscription and self._strategy.unsubscribe([native], 1) is None:
            return False
        self._refused.pop(native, None)
        self._renewals[native] = None
        self._dirty = True
        return True

    @property
    def wanted(self) -> Iterable[str]:
        return self._wanted.keys()

    @property
    def refused(self) -> Mapping[str, str]:
        """Native id -> the exchange's reason."""
        return self._refused

    def asked_s(self, native: str) -> float | None:
        """When the symbol was last asked for; None where it was not."""
        return self._asked.get(native)

    @property
    def settled(self) -> bool:
        """Everything wanted was asked for, and answered where the exchange answers."""
        if self._dirty or self._again or self._renewals:
            return False
        return not (self._strategy.acknowledges and self._pending)

    # --- requests out

    def next_frame(self, now_s: float) -> str | None:
        """The next request to send, or None while there is nothing to ask."""
        if self._renewals:
            return self._renew(now_s)
        while self._again:
            natives, attempt = self._again.popleft()
            natives = tuple(native for native in natives if native in self._wanted)
            if natives:
                return self._subscribe(natives, now_s, attempt)
        if not self._dirty:
            return None
        frame = self._replace(now_s) if self._strategy.replaces_subscription else self._difference(now_s)
        self._dirty = frame is not None and bool(self._new() or self._old())
        return frame

    @property
    def has_work(self) -> bool:
        return bool(self._dirty or self._renewals or self._again)

    def _renew(self, now_s: float) -> str | None:
        whole = self._strategy.replaces_subscription
        limit = len(self._renewals) if whole else self._strategy.limits.symbols_per_request
        batch = list(self._renewals)[:limit]
        for native in batch:
            del self._renewals[native]
        natives = [native for native in batch if native in self._asked]
        self._dirty = True
        if whole or not natives:
            self._forget(natives)
            return self.next_frame(now_s)
        return self._unsubscribe(natives, now_s)

    def _replace(self, now_s: float) -> str | None:
        natives = tuple(native for native in self._wanted if native not in self._refused)
        if not natives or self._asked.keys() == set(natives):
            return None
        self._asked.clear()
        self._pending.clear()
        return self._subscribe(natives, now_s, 1)

    def _difference(self, now_s: float) -> str | None:
        limits = self._strategy.limits
        new, old = self._new(), self._old()
        batch = new[: limits.symbols_per_request]
        if batch and (not old or len(self._asked) + len(batch) <= limits.symbols_per_link):
            return self._subscribe(tuple(batch), now_s, 1)
        if not old:
            return None
        frame = self._unsubscribe(old[: limits.symbols_per_request], now_s)
        return frame if frame is not None else self._difference(now_s)

    def _new(self) -> list[str]:
        waiting = {native for natives, _ in self._again for native in natives}
        known = (self._asked, self._refused, waiting)
        return [native for native in self._wanted if not any(native in names for names in known)]

    def _old(self) -> list[str]:
        return [native for native in self._asked if native not in self._wanted]

    def _subscribe(self, natives: tuple[str, ...], now_s: float, attempt: int) -> str:
        self._asked.update(dict.fromkeys(natives, now_s))
        request_id = self._remember(Request(natives, now_s, True, attempt))
        return self._strategy.subscribe(natives, request_id)

    def _unsubscribe(self, natives: list[str], now_s: float) -> str | None:
        self._forget(natives)
        request_id = self._remember(Request(tuple(natives), now_s, False, 1))
        frame = self._strategy.unsubscribe(natives, request_id)
        if frame is None:
            del self._pending[request_id]
        return frame

    def _remember(self, request: Request) -> int:
        self._last_id += 1
        self._pending[self._last_id] = request
        return self._last_id

    def _forget(self, natives: Iterable[str]) -> None:
        for native in natives:
            self._asked.pop(native, None)

    # --- answers in

    def acknowledged(self, request_id: int | None) -> None:
        self._take(request_id)

    def refuse(self, request_id: int | None, detail: str) -> Refusal | None:
        """Takes in a refusal; gives what is now known to be refused, None where it is being narrowed down."""
        request = self._take(request_id)
        if request is None or not request.subscribes:
            return Refusal(request.natives if request else (), detail)
        if self._strategy.replaces_subscription:
            return Refusal(request.natives, detail)
        self._forget(request.natives)
        if len(request.natives) > 1:
            middle = len(request.natives) // 2
            self._again.append((request.natives[:middle], 1))
            self._again.append((request.natives[middle:], 1))
            return None
        self._refused.update(dict.fromkeys(request.natives, detail))
        return Refusal(request.natives, detail)

    def check(self, now_s: float, delivered: Mapping[str, bool]) -> None:
        """Looks after unanswered requests. Symbols that `delivered` frames were evidently accepted."""
        if not self._strategy.acknowledges:
            self._pending.clear()
            return
        for request_id, request in list(self._pending.items()):
            if now_s - request.sent_s < self._ack_patience_s:
                continue
            del self._pending[request_id]
            if not request.subscribes:
                continue
            silent = tuple(n for n in request.natives if n in self._wanted and not delivered.get(n, False))
            if silent and request.attempt >= MAX_ATTEMPTS:
                self.deaf = True
            elif silent:
                self._forget(silent)
                self._again.append((silent, request.attempt + 1))

    def _take(self, request_id: int | None) -> Request | None:
        """The request that an answer belongs to; without an id the oldest, as answers keep the order."""
        if request_id is not None:
            return self._pending.pop(request_id, None)
        if not self._pending:
            return None
        return self._pending.pop(next(iter(self._pending)))
