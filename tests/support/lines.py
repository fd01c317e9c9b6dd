"""A builder and the links that carry its symbol, with time in the test's hand; what updates look like in such tests."""

from __future__ import annotations

from hoga.domain.actions import Action, FactKind, Note, Publish, Resubscribe
from hoga.domain.types import Level, State, Update
from tests.support.driver import Driver, at

ASKS = [("101", "1"), ("102", "2")]


def delta(prev: int, seq: int, bids=(), asks=()) -> Update:
    return Update("X", False, list(bids), list(asks), prev_seq=prev, seq=seq)


def step(seq: int, size: str = "5") -> Update:
    """The delta that leads from the id before."""
    return delta(seq - 1, seq, [("99", size)])


def snapshot(seq: int, size: str = "1") -> Update:
    return Update("X", True, [("99", size), ("98", "2")], ASKS, seq=seq)


def kinds(actions: list[Action]) -> list[FactKind]:
    return [action.kind for action in actions if isinstance(action, Note)]


class Links:
    """Everything that the builder decided, while links bring, come and go."""

    def __init__(self, keeper: Driver, *links: str) -> None:
        """`links`: those that are open from the beginning."""
        self.keeper = keeper
        self.actions: list[Action] = []
        self.states: list[State] = []
        """What was published, in order."""
        self.ms = 0
        self.up(*links)

    def take(self, actions: list[Action]) -> None:
        self.actions += actions
        self.states += [self.keeper.state for action in actions if isinstance(action, Publish)]

    def send(self, link: str, *updates: Update, ms: int = 1) -> None:
        for update in updates:
            self.ms += ms
            self.take(self.keeper.receive(update, link, at(self.ms)))

    def wait(self, ms: int) -> None:
        for _ in range(ms // 100):
            self.ms += 100
            self.take(self.keeper.tick(at(self.ms)))

    def moved(self, *links: str, planned: bool = True) -> None:
        """Other links carry the symbol on."""
        self.take(self.keeper.report(set(links), at(self.ms), planned=planned))

    def down(self) -> None:
        self.take(self.keeper.report(set(), at(self.ms), planned=False))

    def up(self, *links: str) -> None:
        self.take(self.keeper.report(set(links), at(self.ms)))

    @property
    def state(self) -> State:
        return self.keeper.state

    @property
    def best(self) -> Level:
        return self.keeper.book.texts(1)[0][0]

    @property
    def facts(self) -> list[FactKind]:
        return kinds(self.actions)

    @property
    def asked(self) -> list[str]:
        """The links of the resubscriptions asked for."""
        return [action.link for action in self.actions if isinstance(action, Resubscribe)]

    def false_alarms(self) -> list[FactKind]:
        return [fact for fact in self.facts if fact in (FactKind.GAP, FactKind.REVERSAL, FactKind.DISAGREEMENT)]
