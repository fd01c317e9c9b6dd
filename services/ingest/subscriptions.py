"""What one link shall carry, what was asked of the exchange, and what it answered. Pure: frames out, answers in.

The wish is a set; requests follow from the difference between wish and what was asked, so that changes
that come faster than we may send melt into one request, and nothing queues up.

1. New symbols are asked for before old ones are given up, unless the link would then hold too many.
2. Where a request replaces the whole subscription, the full list is sent again; where nothing can be
   unsubscribed, symbols given up are forgotten (the link filters their frames).
3. A refused request of several symbols is asked again in halves until the one that is refused stands alone: it is
   reported, the others are served. An answer that names symbols concerns these alone.
4. What is refused for a passing reason (haste, the exchange's own troubles) is asked again as it was, later.
5. A request that is not answered is asked again; after `MAX_ATTEMPTS` the link is called deaf or, where it has
   answered others meanwhile, the symbol refused.
6. The exchange's limit of requests an hour is kept (`budget`): what has to wait for it goes out when its turn comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hoga.domain.backoff import Backoff
from hoga.exchanges.base import ConnectionStrategy
from services.ingest.budget import RequestBudget
from services.ingest.refusals import Refusals, is_passing
from services.ingest.requests import Request, Requests, Try

ACK_PATIENCE_S = 10.0
"""How long an answer may take (ten seconds have been seen) before the request is repeated."""
REFUSAL_S = 120.0
"""How long a symbol that is refused is left alone; doubled each time."""
SETBACK_S = 2.0
"""The same for what is refused for a passing reason."""
LONGEST_SETBACK_S = 300.0
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """The exchange refused a request; `natives` is empty where it does not say which."""

    natives: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that is decided and counted; what remains is to spell it."""

    natives: Sequence[str]
    request_id: int
    subscribes: bool

    def text(self, strategy: ConnectionStrategy, now_ns: int) -> str | None:
        spell = strategy.subscribe if self.subscribes else strategy.unsubscribe
        return spell(self.natives, self.request_id, now_ns)


class Subscriptions:
    """The subscription of one link. Times are seconds of any one monotonic clock."""

    def __init__(
        self,
        strategy: ConnectionStrategy,
        *,
        frames: Callable[[str], int] = lambda _native: 0,
        ack_patience_s: float = ACK_PATIENCE_S,
        refusal_s: float = REFUSAL_S,
        setback_s: float = SETBACK_S,
    ) -> None:
        """`frames(native)` counts the frames that a symbol has sent on this link."""
        self._strategy = strategy
        self._ack_patience_s = ack_patience_s
        self._setback = Backoff(setback_s, LONGEST_SETBACK_S)
        self._refusals = Refusals(refusal_s, frames)
        self._requests = Requests(frames)
        self._budget = RequestBudget(strategy.limits)
        self._wanted: dict[str, None] = {}
        self._asked: dict[str, float] = {}
        self._renewals: dict[str, None] = {}
        self._held: dict[str, None] = {}
        self._spent = False
        self._again: deque[Try] = deque()
        self._later: list[tuple[Try, float | None]] = []
        self._dirty = False
        self.deaf = False

    # --- the wish

    def want(self, natives: Iterable[str]) -> None:
        """The whole wish, replacing the one before."""
        self._wanted = dict.fromkeys(natives)
        self._refusals.keep(self._wanted)
        self._dirty = True

    def renew(self, native: str) -> bool:
        """Drops and takes again one subscription; False where the exchange has no way to do so."""
        if native not in self._wanted:
            return False
        if not self._strategy.replaces_subscription and self._strategy.unsubscribe([native], 1, 0) is None:
            return False
        self._refusals.remove(native)
        self._renewals[native] = None
        self._dirty = True
        return True

    @property
    def refused(self) -> Mapping[str, str]:
        """Native id -> the exchange's reason."""
        return self._refusals.reasons

    @property
    def put_off(self) -> set[str]:
        """Native ids whose subscription was refused for a passing reason and is asked for again later."""
        return {native for tried, _ in self._later for native in tried.natives}

    @property
    def held(self) -> set[str]:
        """Native ids whose subscription is taken anew as soon as the budget of requests allows it."""
        return set(self._held)

    def established(self, before_s: float) -> Callable[[str], bool]:
        """Tells of native ids which were asked for before that moment and, where the exchange answers, answered."""
        open_ = {native for request in self._requests for native in request.open} if self._strategy.acknowledges else ()
        return lambda native: self._asked.get(native, before_s) < before_s and native not in open_

    def asked_s(self, native: str) -> float | None:
        """When the symbol was last asked for; None where it was not."""
        return self._asked.get(native)

    @property
    def settled(self) -> bool:
        """Everything wanted was asked for, and answered where the exchange answers."""
        if self._dirty or self._again or self._later or self._renewals:
            return False
        return not (self._strategy.acknowledges and self._requests)

    # --- requests out

    def next_frame(self, now_s: float, now_ns: int) -> str | None:
        """The next request to send, or None while there is nothing to ask, or none may be sent; `now_ns` is wall time,
        for the text of the request."""
        asked = self._next(now_s)
        return None if asked is None else asked.text(self._strategy, now_ns)

    def _next(self, now_s: float) -> Ask | None:
        self._hold(now_s)
        if self._renewals:
            return self._renew(now_s)
        if self._spent:
            return None
        while self._again:
            tried = self._again.popleft()
            natives = tuple(native for native in tried.natives if native in self._wanted)
            if natives:
                return self._subscribe(replace(tried, natives=natives), now_s)
        if not self._dirty:
            return None
        asked = self._replace(now_s) if self._strategy.replaces_subscription else self._difference(now_s)
        self._dirty = asked is not None and bool(self._new() or self._old())
        return asked

    @property
    def has_work(self) -> bool:
        return bool(self._renewals or ((self._dirty or self._again) and not self._spent))

    def _hold(self, now_s: float) -> None:
        """Sorts out what the budget allows now."""
        asked = [native for native in (*self._held, *self._renewals) if native in self._wanted]
        self._held = {native: None for native in asked if not self._budget.allows_renewal(native, now_s)}
        self._renewals = {native: None for native in asked if native not in self._held}
        self._spent = not self._budget.allows(now_s)

    def _renew(self, now_s: float) -> Ask | None:
        whole = self._strategy.replaces_subscription
        limit = len(self._renewals) if whole else self._strategy.limits.symbols_per_request
        batch = list(self._renewals)[:limit]
        for native in batch:
            del self._renewals[native]
            self._budget.renewed(native, now_s)
        natives = [native for native in batch if native in self._asked]
        self._dirty = True
        if whole or not natives:
            self._forget(natives)
            return self._next(now_s)
        return self._unsubscribe(natives, now_s)

    def _replace(self, now_s: float) -> Ask | None:
        natives = tuple(native for native in self._wanted if native not in self._refusals)
        if not natives or self._asked.keys() == set(natives):
            return None
        self._asked.clear()
        self._requests.clear()
        return self._subscribe(Try(natives, self._requests.answers), now_s)

    def _difference(self, now_s: float) -> Ask | None:
        limits = self._strategy.limits
        new, old = self._new(), self._old()
        batch = new[: limits.symbols_per_request]
        if batch and (not old or len(self._asked) + len(batch) <= limits.symbols_per_link):
            return self._subscribe(Try(tuple(batch), self._requests.answers), now_s)
        if not old:
            return None
        asked = self._unsubscribe(old[: limits.symbols_per_request], now_s)
        return asked if asked is not None else self._difference(now_s)

    def _new(self) -> list[str]:
        waiting = {native for tried in (*self._again, *(late for late, _ in self._later)) for native in tried.natives}
        known = (self._asked, self._refusals, waiting)
        return [native for native in self._wanted if not any(native in names for names in known)]

    def _old(self) -> list[str]:
        return [native for native in self._asked if native not in self._wanted]

    def _subscribe(self, tried: Try, now_s: float) -> Ask:
        self._budget.take(now_s)
        self._asked.update(dict.fromkeys(tried.natives, now_s))
        return Ask(tried.natives, self._requests.add(tried, now_s, subscribes=True), subscribes=True)

    def _unsubscribe(self, natives: list[str], now_s: float) -> Ask | None:
        self._forget(natives)
        if self._strategy.unsubscribe(natives, 1, 0) is None:
            return None
        self._budget.take(now_s)
        return Ask(natives, self._requests.add(Try(tuple(natives)), now_s, subscribes=False), subscribes=False)

    def _forget(self, natives: Iterable[str]) -> None:
        for native in natives:
            self._asked.pop(native, None)

    # --- answers in

    def acknowledged(self, request_id: int | None, natives: Sequence[str] = ()) -> None:
        for request, answered in self._requests.answer(request_id, natives):
            if request.subscribes:
                self._refusals.remove(*answered)

    def refuse(self, request_id: int | None, detail: str, natives: Sequence[str] = ()) -> Refusal | None:
        """Takes in a refusal; gives what is now known to be refused, None where it is being narrowed down."""
        taken = self._requests.answer(request_id, natives, refuses=True)
        answered = [native for _, those in taken for native in those]
        refused = [native for request, those in taken if request.subscribes for native in those]
        if natives:  # and what was accepted before
            refused += [native for native in natives if native in self._asked and native not in answered]
        elif self._strategy.replaces_subscription:
            refused = list(self._asked)
        if not refused:
            return Refusal(tuple(natives or answered), detail)
        self._forget(refused)
        tried = taken[0][0].tried if taken else Try((), self._requests.answers)
        if is_passing(detail) or (self._strategy.replaces_subscription and not natives):
            self._later.append((replace(tried, natives=tuple(refused), setbacks=tried.setbacks + 1), None))
        elif natives or len(refused) == 1:
            self._refusals.add(refused, detail)
        else:
            middle = len(refused) // 2
            self._again += [Try(tuple(half), tried.answers) for half in (refused[:middle], refused[middle:])]
            return None
        return Refusal(tuple(refused), detail)

    # --- time passes

    def check(self, now_s: float) -> None:
        """Looks after requests that nobody answers, and asks again for what was put off."""
        self._refusals.remove(*self._requests.answered_by_frames())
        for native in self._refusals.delivering():
            self._refusals.remove(native)
            self._asked.setdefault(native, now_s)
        if not self._strategy.acknowledges:
            for request in self._requests:
                self._refusals.remove(*request.open)
            self._requests.clear()
        for request in self._requests.expired(now_s - self._ack_patience_s):
            if request.subscribes:
                self._unanswered(request)
        self._ask_late(now_s)
        self._hold(now_s)
        due, size = self._refusals.take_due(now_s), self._strategy.limits.symbols_per_request
        for start in range(0, len(due), size):
            self._ask_again(Try(tuple(due[start : start + size]), self._requests.answers))

    def _unanswered(self, request: Request) -> None:
        silent = [native for native in request.open if native in self._wanted]
        self._forget(silent)
        refused = [native for native in silent if native in self._refusals]
        natives = tuple(native for native in silent if native not in self._refusals)
        self._refusals.add(refused)
        tried = replace(request.tried, natives=natives, attempt=request.tried.attempt + 1)
        if natives and tried.attempt <= MAX_ATTEMPTS:
            self._ask_again(tried)
        elif natives and self._requests.answers > tried.answers:
            self._refusals.add(natives, "the subscription was never answered")
        elif natives:
            self.deaf = True

    def _ask_late(self, now_s: float) -> None:
        later, self._later = self._later, []
        for tried, due_s in later:
            if due_s is not None and now_s >= due_s:
                self._ask_again(tried)
            else:
                self._later.append((tried, now_s + self._setback.after(tried.setbacks) if due_s is None else due_s))

    def _ask_again(self, tried: Try) -> None:
        if not self._strategy.replaces_subscription:
            self._again.append(tried)
            return
        self._refusals.remove(*tried.natives)
        self._forget(tried.natives)
        self._dirty = True
