"""Which links carry which symbols, by the events and beats of ingest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hoga.domain.links import LinkEvent, LinkEventKind
from hoga.wire import pb
from services.validator.coverage import GONE, LOST, Coverage, News
from tests.support.told_links import CLOSED, OPENED, SETTLED, beat, event, link

S = 1_000_000_000
BOTH = ("A", "B")


class Told:
    """A coverage, and what its news leave open, symbol by symbol."""

    def __init__(self, clock: str = "") -> None:
        self.coverage = Coverage(silent_after_ns=3 * S, clock=clock)
        self.open: set[tuple[str, str]] = set()
        self.dropped: frozenset[str] = frozenset()

    def event(self, name: str, number: int, told: pb.LinkEvent) -> News:
        return self._take(self.coverage.event(name, number, told))

    def beat(self, now_ns: int, told: pb.LinkBeat) -> News:
        news, self.dropped = self.coverage.beat(told, now_ns)
        return self._take(news)

    def tick(self, now_ns: int) -> News:
        return self._take(self.coverage.tick(now_ns))

    def deafened(self, now_ns: int) -> News:
        return self._take(self.coverage.deafened("the bus was away", now_ns))

    def _take(self, news: News) -> News:
        for symbol, told in news:
            if told.kind is LinkEventKind.CLOSED:
                self.open.remove((symbol, told.link))
            elif told.kind is LinkEventKind.OPENED:
                assert (symbol, told.link) not in self.open
            if told.kind is not LinkEventKind.CLOSED:
                self.open.add((symbol, told.link))
        for symbol in BOTH:
            standing = {(symbol, told.link) for told in self.coverage.standing(symbol)}
            assert standing == {one for one in self.open if one[0] == symbol}
        return news


def begun() -> Told:
    """A slot whose link L1 carries both symbols, SETTLED; its newest event is the second."""
    told = Told()
    assert told.beat(0, beat(BOTH)) == []
    told.event("L1", 1, event(OPENED, BOTH))
    told.event("L1", 2, event(SETTLED, BOTH))
    assert told.open == {("A", "L1"), ("B", "L1")}
    return told


def kinds(news: News) -> list[tuple[str, str, str]]:
    return [(symbol, told.kind.name, told.link) for symbol, told in news]


def test_events_are_passed_on_symbol_by_symbol_in_their_order() -> None:
    told = Told()
    told.beat(0, beat(BOTH))
    assert kinds(told.event("L1", 1, event(OPENED, BOTH))) == [("A", "OPENED", "L1"), ("B", "OPENED", "L1")]
    assert kinds(told.event("L1", 2, event(SETTLED, ["A"]))) == [("A", "SETTLED", "L1")]
    closed = told.event("L1", 3, event(CLOSED, BOTH, planned=True, reason="old"))
    assert closed == [(symbol, LinkEvent(LinkEventKind.CLOSED, "L1", True, "old")) for symbol in BOTH]


def test_a_beat_that_names_the_newest_event_says_nothing_new() -> None:
    told = begun()
    assert told.beat(S, beat(BOTH, link("L1", 2))) == []


def test_two_links_of_a_planned_replacement_are_two_links() -> None:
    told = begun()
    told.event("L2", 1, event(OPENED, BOTH))
    assert told.open == {("A", "L1"), ("B", "L1"), ("A", "L2"), ("B", "L2")}
    told.event("L1", 3, event(CLOSED, BOTH, planned=True))
    assert told.beat(S, beat(BOTH, link("L2", 1, unsettled=BOTH))) == []
    assert told.open == {("A", "L2"), ("B", "L2")}


def test_an_event_that_was_lost_closes_the_link_until_a_beat_tells_what_holds() -> None:
    told = begun()
    assert {one.reason for _, one in told.event("L1", 4, event(OPENED, ["C"]))} == {LOST}
    assert told.open == set()
    assert told.event("L1", 5, event(SETTLED, ["A"])) == [], "what came before it is not known"
    news = told.beat(S, beat([*BOTH, "C"], link("L1", 5, without=["B"], unsettled=["C"])))
    assert kinds(news) == [("A", "SETTLED", "L1"), ("C", "OPENED", "L1")]
    assert kinds(told.event("L1", 6, event(OPENED, ["B"]))) == [("B", "OPENED", "L1")]


def test_an_event_that_nothing_follows_is_missed_at_the_next_beat() -> None:
    told = begun()
    news = told.beat(S, beat(BOTH, link("L1", 3)))
    assert [(one.kind.name, one.reason) for _, one in news] == 2 * [("CLOSED", LOST)] + 2 * [("SETTLED", "")]


def test_a_link_whose_end_was_lost_is_gone_where_the_beat_does_not_name_it() -> None:
    told = begun()
    assert {(one.kind.name, one.reason) for _, one in told.beat(S, beat(BOTH))} == {("CLOSED", GONE)}
    assert told.dropped == frozenset(), "they are still meant to be carried"


def test_links_that_were_there_before_are_learned_from_the_beat() -> None:
    told = Told()
    assert told.event("L1", 7, event(OPENED, ["A"])) == []
    assert kinds(told.beat(0, beat(BOTH, link("L1", 7)))) == [("A", "SETTLED", "L1"), ("B", "SETTLED", "L1")]


def test_a_process_that_begins_anew_replaces_the_links_of_its_slot() -> None:
    told = begun()
    told.beat(S, beat(BOTH))
    told.event("M1", 1, event(OPENED, BOTH))
    assert told.open == {("A", "M1"), ("B", "M1")}


def test_repeated_and_late_events_change_nothing() -> None:
    told = begun()
    for number in (1, 2):
        assert told.event("L1", number, event(CLOSED, BOTH)) == []


def test_silence_closes_and_the_next_beat_opens() -> None:
    told = begun()
    told.beat(S, beat(BOTH, link("L1", 2)))
    assert told.tick(4 * S) == []
    assert {one.reason for _, one in told.tick(4 * S + 1)} == {"ingest no longer reports on the link"}
    assert told.event("L9", 1, event(OPENED, BOTH)) == [], "nobody knows what else the slot has"
    assert kinds(told.beat(5 * S, beat(BOTH, link("L1", 2), link("L9", 1, without=["A"])))) == [
        ("A", "SETTLED", "L1"), ("B", "SETTLED", "L1"), ("B", "SETTLED", "L9"),
    ]  # fmt: skip


def test_a_beat_that_was_long_on_its_way_counts_from_when_it_was_made() -> None:
    told = Told(clock="ours")
    told.beat(12 * S, beat(BOTH, link("L1", 1), clock="ours", mono_ns=10 * S))
    assert told.tick(13 * S) == []
    assert told.tick(13 * S + 1)
    told.beat(20 * S, beat(BOTH, link("L1", 1), clock="another", mono_ns=1))
    assert told.tick(23 * S) == [], "another host's clock says nothing to us"
    late = told.beat(25 * S, beat(BOTH, link("L1", 1), clock="ours", mono_ns=21 * S))
    assert {one.reason for _, one in late} == {"the reports on the link arrive 4.0 s late"}


def test_what_was_told_before_the_ears_failed_opens_nothing() -> None:
    told = Told(clock="ours")
    told.beat(S, beat(BOTH, link("L1", 1), clock="ours", mono_ns=S))
    assert {one.reason for _, one in told.deafened(2 * S)} == {"the bus was away"}
    assert told.beat(2 * S, beat(BOTH, link("L1", 1), clock="ours", mono_ns=2 * S - 1)) == []
    assert told.event("L2", 1, event(OPENED, BOTH)) == []
    assert told.beat(3 * S, beat(BOTH, link("L1", 1), clock="ours", mono_ns=2 * S))


def test_symbols_that_no_slot_is_meant_to_carry_are_dropped() -> None:
    told = begun()
    told.beat(0, beat(["B"], link("M1", 1), slot="s1"))
    told.event("L1", 3, event(CLOSED, BOTH, reason="its subscription was given up"))
    told.beat(S, beat([], link("L1", 3)))
    assert told.dropped == {"A"}
    told.beat(S, beat([], slot="s1"))
    assert told.dropped == {"B"}
    assert told.open == set()


def test_frames_of_links_on_this_host_are_measured_by_its_clock() -> None:
    told = Told(clock="ours")
    told.beat(0, beat(BOTH, link("L1", 1), clock="ours"))
    told.beat(0, beat(BOTH, link("M1", 1), clock="another", slot="s1"))
    told.event("L2", 1, event(OPENED, ["A"]))
    shares = told.coverage.shares_clock
    assert (shares("L1"), shares("L2"), shares("M1")) == (True, True, False)
    told.beat(S, beat(BOTH, clock="ours", mono_ns=S))
    assert not shares("L1")


STEP = st.sampled_from(["open", "settle", "close", "lose", "beat", "end"])


@given(st.lists(st.tuples(STEP, st.sampled_from(["L1", "L2"]), st.sampled_from("ABC"), st.booleans())))
def test_whatever_the_bus_loses_the_next_beat_puts_it_right(steps) -> None:
    """Messages of two links in any order, some of them lost: after a beat the truth is known, and nothing was ever
    opened twice or closed that was not open."""
    told, truth = Told(), {"L1": {}, "L2": {}}
    numbers = {"L1": 0, "L2": 0}
    told.beat(0, beat("ABC"))

    def links() -> list[pb.LinkBeat.Link]:
        found = []
        for name, carried in truth.items():
            if numbers[name]:
                unsettled = [symbol for symbol, settled in carried.items() if not settled]
                found.append(link(name, numbers[name], without=set("ABC") - carried.keys(), unsettled=unsettled))
        return found

    def happens(kind: pb.LinkEvent.Kind, name: str, symbols: list[str], *, arrives: bool) -> None:
        numbers[name] += 1
        if arrives:
            told.event(name, numbers[name], event(kind, symbols))

    for what, name, symbol, arrives in steps:
        carried = truth[name]
        if what == "open" and symbol not in carried:
            carried[symbol] = False
            happens(OPENED, name, [symbol], arrives=arrives)
        elif what == "settle" and carried.get(symbol) is False:
            carried[symbol] = True
            happens(SETTLED, name, [symbol], arrives=arrives)
        elif what == "close" and carried.pop(symbol, None) is not None:
            happens(CLOSED, name, [symbol], arrives=arrives)
        elif what == "lose":
            numbers[name] += 1
        elif what == "end" and carried:
            happens(CLOSED, name, list(carried), arrives=arrives)
            carried.clear()
        elif what == "beat" and arrives:
            told.beat(0, beat("ABC", *links()))
    told.beat(0, beat("ABC", *links()))
    assert told.open == {(symbol, name) for name, carried in truth.items() for symbol in carried}
