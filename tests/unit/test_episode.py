"""When a snapshot is asked for: at once, again while nothing comes, and ever more rarely where it does not help."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hoga.domain.actions import Action, Decisions, FactKind, RequestSnapshot, Resubscribe
from hoga.domain.backoff import Backoff
from hoga.domain.episode import AT_ONCE, BACKGROUND, LOW, NORMAL, PATIENT_AFTER, URGENT, Episode
from hoga.domain.types import Stamp
from tests.support.lines import kinds

S = 1_000_000_000


def at(seconds: float) -> Stamp:
    return Stamp(round(seconds * S), 0)


def moments(since_s: float, until_s: float) -> Iterator[float]:
    """Tenths of a second at first, whole seconds later."""
    tenths = round(since_s * 10)
    while tenths < until_s * 10:
        yield tenths / 10
        tenths += 1 if tenths - since_s * 10 < 1000 else 10


class Patient:
    """An episode with time in the test's hand."""

    def __init__(self, link: str = "") -> None:
        self.out = Decisions()
        self.episode = Episode(self.out, Backoff(5 * S, 60 * S), link)
        self.facts: list[FactKind] = []

    def asked(self) -> list[Action]:
        """Since the last time."""
        actions = self.out.drain()
        self.facts += kinds(actions)
        return [action for action in actions if isinstance(action, RequestSnapshot | Resubscribe)]

    def times(self, until_s: float, since_s: float = 0.0) -> list[float]:
        """When requests go out while nothing comes."""
        found = []
        for now in moments(since_s, until_s):
            self.episode.tick(at(now))
            found += [now] * len(self.asked())
        return found

    def reopening(self, until_s: float, holds_s: float) -> list[float]:
        """When requests go out, where each is answered at once and the wound opens again after `holds_s`."""
        found, again_s = [], 0.0
        for now in moments(1.0, until_s):
            if not self.episode.on and now >= again_s:
                self.episode.begin(NORMAL, at(now))
            self.episode.tick(at(now))
            if self.asked():
                found.append(now)
                self.episode.end(at(now))
                again_s = now + holds_s
        return found


class TestAsking:
    def test_at_once_by_request_or_over_the_named_link(self) -> None:
        patient = Patient()
        patient.episode.begin(NORMAL, at(1.0))
        assert patient.asked() == [RequestSnapshot(NORMAL, 1)]
        patient = Patient("a")
        patient.episode.begin(NORMAL, at(1.0))
        assert patient.asked() == [Resubscribe(1, "a")]

    def test_nothing_between_episodes(self) -> None:
        patient = Patient()
        assert patient.times(100.0) == []
        patient.episode.begin(LOW, at(100.0), wait_ns=S)
        patient.episode.end(at(100.5))
        assert patient.times(300.0, 100.5) == []

    def test_an_unanswered_request_is_repeated_less_and_less_often(self) -> None:
        patient = Patient()
        patient.episode.begin(LOW, at(0.0))
        assert patient.times(200.0) == [0.0, 5.0, 15.0, 35.0, 75.0, 135.0, 195.0]
        assert patient.episode.relapses == 0

    def test_and_says_the_how_manyth_it_is(self) -> None:
        patient = Patient("a")
        patient.episode.begin(LOW, at(0.0))
        patient.episode.tick(at(5.0))
        assert patient.asked() == [Resubscribe(1, "a"), Resubscribe(2, "a")]

    def test_a_first_one_may_wait_and_what_it_waits_for_hurries_it(self) -> None:
        patient = Patient()
        patient.episode.begin(LOW, at(0.0), wait_ns=2 * S)
        assert patient.times(1.0) == []
        patient.episode.hurry(at(1.0))
        assert len(patient.asked()) == 1
        patient.episode.hurry(at(1.1))
        assert patient.asked() == [], "only the first"
        assert patient.times(10.0, 1.1) == [6.0]

    def test_hurry_begins_nothing(self) -> None:
        patient = Patient()
        patient.episode.hurry(at(1.0))
        assert patient.asked() == []

    def test_what_came_and_does_not_suffice_yet_is_asked_for_again_after_a_while(self) -> None:
        patient = Patient()
        patient.episode.begin(LOW, at(0.0))
        assert len(patient.asked()) == 1
        patient.episode.again_in(10 * S, at(1.0))
        assert patient.times(20.0, 0.1) == [11.0]


class TestUrgency:
    def test_a_more_urgent_wish_overtakes_one_that_is_on_its_way(self) -> None:
        patient = Patient()
        patient.episode.begin(LOW, at(0.0))
        patient.episode.raise_to(URGENT)
        assert patient.asked() == [RequestSnapshot(LOW, 1), RequestSnapshot(URGENT, 1)]
        patient.episode.raise_to(NORMAL)
        assert patient.asked() == []
        assert patient.episode.priority == URGENT

    def test_one_that_has_not_gone_out_yet_goes_out_as_urgent(self) -> None:
        patient = Patient()
        patient.episode.begin(BACKGROUND, at(0.0), wait_ns=S)
        patient.episode.raise_to(NORMAL)
        assert patient.asked() == []
        patient.episode.tick(at(1.0))
        assert patient.asked() == [RequestSnapshot(NORMAL, 1)]

    def test_a_subscription_is_not_made_twice_for_it(self) -> None:
        patient = Patient("a")
        patient.episode.begin(LOW, at(0.0))
        patient.episode.raise_to(URGENT)
        assert patient.asked() == [Resubscribe(1, "a")]

    def test_the_next_episode_begins_with_its_own(self) -> None:
        patient = Patient()
        patient.episode.begin(URGENT, at(0.0))
        patient.episode.end(at(1.0))
        patient.asked()
        patient.episode.begin(LOW, at(100.0))
        assert patient.asked() == [RequestSnapshot(LOW, 1)]


class TestTooOld:
    def late(self, count: int) -> list[float]:
        """Waits after answers that come a tenth of a second after each request and are too old."""
        patient, now = Patient(), 0.0
        patient.episode.begin(LOW, at(now))
        asked = [now] * len(patient.asked())
        while len(asked) <= count:
            patient.episode.too_old(at(now + 0.1))
            since = now + 0.2
            for now in moments(since, since + 4000.0):
                patient.episode.tick(at(now))
                if patient.asked():
                    break
            asked.append(now)
        return [round(second - first, 1) for first, second in pairwise(asked)]

    def test_it_is_asked_for_again_soon_and_then_less_and_less_often(self) -> None:
        waits = self.late(PATIENT_AFTER + 10)
        assert waits[0] < 1.0
        assert all(first <= second for first, second in pairwise(waits[:5]))
        assert max(waits[:PATIENT_AFTER]) <= 10.0
        assert waits[PATIENT_AFTER] > 10.0
        assert waits[-1] > 1800.0
        assert max(waits) < 3601.0

    def test_it_is_no_relapse_and_does_not_put_off_what_is_due(self) -> None:
        patient = Patient()
        patient.episode.begin(LOW, at(0.0))
        assert len(patient.asked()) == 1
        patient.episode.too_old(at(4.9))
        assert patient.times(6.0, 0.1) == [5.0]
        assert patient.episode.relapses == 0


class TestRelapses:
    def test_some_are_treated_at_once_then_each_waits_longer_up_to_an_hour(self) -> None:
        patient = Patient()
        asked = patient.reopening(6 * 3600.0, 0.2)
        waits = [second - first for first, second in pairwise(asked)]
        assert max(waits[:AT_ONCE]) < 1.0
        assert 7.0 < waits[AT_ONCE] < 9.0
        late = waits[AT_ONCE:]
        assert all(first < second + 1.0 or second > 3500.0 for first, second in pairwise(late))
        assert max(late) < 3602.0
        assert len(asked) < AT_ONCE + 25
        assert patient.facts == [FactKind.RESYNC_STARTED], "people are told once"
        assert patient.episode.stubborn

    def test_answers_that_are_no_good_are_relapses(self) -> None:
        patient = Patient()
        patient.episode.begin(NORMAL, at(0.0))
        asked = []
        for now in moments(0.0, 3600.0):
            patient.episode.tick(at(now))
            if patient.asked():
                asked.append(now)
                patient.episode.failed(at(now))
        assert len([now for now in asked if now < 10.0]) == AT_ONCE + 1
        assert len(asked) < AT_ONCE + 25

    def test_one_that_holds_is_none(self) -> None:
        patient = Patient()
        asked = patient.reopening(3000.0, 11.0)
        assert len(asked) > 250
        assert patient.episode.relapses == 0

    def test_what_ended_without_a_snapshot_cannot_open_again(self) -> None:
        patient = Patient()
        for tick in range(3 * AT_ONCE):
            patient.episode.begin(NORMAL, at(1.0 + tick / 10))
            patient.episode.end(at(1.0 + tick / 10), healed=False)
        assert (patient.episode.relapses, len(patient.asked())) == (0, 3 * AT_ONCE)

    def test_holding_for_a_minute_forgets_them(self) -> None:
        patient = Patient()
        patient.reopening(4.0, 0.2)
        relapses = patient.episode.relapses
        assert relapses > AT_ONCE
        patient.episode.tick(at(20.0))
        patient.episode.end(at(20.0))
        patient.episode.begin(NORMAL, at(50.0))
        assert patient.episode.relapses == relapses, "half a minute is not enough"
        patient.episode.end(at(60.0))
        patient.episode.begin(NORMAL, at(200.0))
        assert (patient.episode.relapses, patient.episode.stubborn) == (0, False)

    def test_but_not_sooner_than_the_last_wait(self) -> None:
        patient = Patient()
        patient.reopening(3600.0, 0.2)
        relapses = patient.episode.relapses
        patient.episode.end(at(3600.0))
        patient.episode.begin(NORMAL, at(3600.0 + 120.0))
        assert patient.episode.relapses == relapses

    def test_neither_hurry_nor_a_new_wish_goes_out_before_its_time(self) -> None:
        patient = Patient()
        last = patient.reopening(600.0, 0.2)[-1]
        patient.episode.hurry(at(600.0))
        patient.episode.end(at(600.1))
        patient.episode.begin(URGENT, at(600.2))
        patient.episode.hurry(at(600.3))
        assert patient.asked() == []
        assert 200.0 < patient.times(5000.0, 600.4)[0] - last < 3602.0
