"""Processes, alerts and the verdict: what the system as a whole is said to be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hoga.wire import subjects
from services.monitor.alerts import MAX_ALERTS, Alerts
from services.monitor.connections import ConnectionManager
from services.monitor.problems import Problem, Severity
from services.monitor.processes import Processes
from services.monitor.watch import Watch

from .monitor_support import EPOCH, SECOND, Clock, book, health, status


class Room:
    """A watch with one validator, one ingest, one link and one book, all well."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.watch = Watch(self.clock, ConnectionManager(), Processes())
        self.watch.books._clock = lambda: self.clock.mono_ns
        self.revision = 0
        self.silent: set[str] = set()

    def second(self) -> None:
        now = self.clock.forward(1)
        self.revision += 1
        for service in {"validator", "ingest-upbit"} - self.silent:
            message = health(service, epoch=EPOCH if service == "validator" else 0)
            message.time_ns = now.wall_ns
            self.watch.take_health(subjects.health(service, "i1"), message.SerializeToString())
        link = status(frames=self.revision)
        self.watch.take_link(subjects.link("upbit", "upbit-0"), link.SerializeToString())
        self.watch.books.take(subjects.book("upbit", "BTC-KRW"), book(self.revision).SerializeToString())
        self.watch.settle(self.watch.manager.check(now))

    def texts(self) -> list[str]:
        return [alert.problem.text for alert in self.watch.alerts.current()]


def test_all_well_is_said_so() -> None:
    room = Room()
    for _ in range(5):
        room.second()
    verdict = room.watch.verdict()
    assert (verdict.level, verdict.text) == ("ok", "The book is live")
    assert room.texts() == []


def test_nothing_heard_is_waiting_and_not_ok() -> None:
    room = Room()
    room.watch.settle(room.watch.manager.check(room.clock()))
    assert room.watch.verdict().level == "waiting"


def test_a_silent_validator_takes_its_books_with_it_within_seconds() -> None:
    room = Room()
    for _ in range(3):
        room.second()
    room.silent.add("validator")
    for _ in range(20):
        room.second()
    assert len(room.texts()) == 1, "one cause, one alert"
    state = room.watch.state()
    assert state.verdict.live == 0
    assert state.verdict.level == "critical"
    assert "silent" in state.books[0].reason
    room.silent.clear()
    room.second()
    assert room.watch.verdict().level == "ok"


def test_a_system_without_any_validator_is_told_once() -> None:
    room = Room()
    room.silent.add("validator")
    for _ in range(20):
        room.second()
    assert room.texts() == ["none is heard of"]
    assert room.watch.verdict().level == "critical"


def test_a_book_of_a_validator_long_gone_is_not_believed() -> None:
    room = Room()
    room.watch.books.take(subjects.book("upbit", "OLD-KRW"), book(symbol="OLD-KRW", epoch=3).SerializeToString())
    room.second()
    old = room.watch.books.get("upbit", "OLD-KRW")
    assert old is not None
    assert (old.state, old.reason) == ("UNKNOWN", "its validator is gone")


def test_without_the_bus_nothing_is_live_and_afterwards_everything_is_again() -> None:
    room = Room()
    for _ in range(3):
        room.second()
    room.watch.bus_changed(False)
    room.watch.settle(room.watch.manager.check(room.clock.forward(30)))
    assert room.watch.verdict().text == "The message bus is away"
    assert room.watch.verdict().live == 0
    assert len(room.texts()) == 1, "one cause, one alert"
    room.watch.bus_changed(True)
    room.second()
    assert room.watch.verdict().level == "ok"
    assert room.texts() == []


def test_messages_that_lie_about_their_subject_are_not_believed() -> None:
    room = Room()
    room.watch.take_link(subjects.link("upbit", "other-0"), status().SerializeToString())
    room.watch.take_health(subjects.health("validator", "i1"), health("ingest-upbit").SerializeToString())
    room.watch.take_health("nonsense", b"\xff")
    assert room.watch.unreadable == 3
    assert not room.watch.manager.links()
    assert not room.watch.processes.all()


def test_only_changed_books_are_sent_again() -> None:
    room = Room()
    room.watch.books.take(subjects.book("upbit", "Q-KRW"), book(symbol="Q-KRW").SerializeToString())
    for _ in range(80):
        room.second()
    tick = room.watch.tick
    assert {row.symbol for row in room.watch.state().books} == {"BTC-KRW", "Q-KRW"}
    room.second()
    assert [row.symbol for row in room.watch.state(tick).books] == ["BTC-KRW"]


def test_a_replaced_instance_is_forgotten_but_the_last_of_its_service_never() -> None:
    processes, clock = Processes(), Clock()
    processes.observe(health("validator", "old"), clock.mono_ns)
    processes.observe(health("ingest-upbit", "only"), clock.mono_ns)
    for _ in range(60):
        clock.forward(1)
        processes.observe(health("validator", "new"), clock.mono_ns)
        processes.forget(clock.mono_ns)
    assert [(process.service, process.instance) for process in processes.all()] == [
        ("ingest-upbit", "only"),
        ("validator", "new"),
    ]
    (problem,) = processes.problems(clock.mono_ns)
    assert (problem.subject, problem.severity) == ("ingest-upbit", Severity.CRITICAL)


def test_drops_are_told_while_they_grow_and_a_while_after() -> None:
    processes, clock = Processes(), Clock()
    told = []
    for second in range(60):
        message = health("ingest-upbit")
        message.exchanges.add(exchange="upbit", dropped=5 * min(10, max(0, second - 5)))
        processes.observe(message, clock.forward(1).mono_ns)
        told.append(bool(processes.problems(clock.mono_ns)))
    assert told[:6] == [False] * 6
    assert all(told[7:25])
    assert not any(told[35:])


def test_a_process_that_is_not_well_is_a_problem_once_it_has_had_time_to_start() -> None:
    found, clock = Processes(), Clock()
    began_ns = clock().wall_ns
    told = []
    for _ in range(12):
        now = clock.forward(1)
        message = health("ingest-upbit")
        message.start_time_ns, message.time_ns = began_ns, now.wall_ns
        message.healthy, message.reason = False, "instruments: not fetched yet"
        found.observe(message, now.mono_ns)
        told.append([problem.text for problem in found.problems(now.mono_ns)])
    assert told == [[]] * 9 + [["instruments: not fetched yet"]] * 3


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=40))
def test_totals_go_on_over_restarts_and_count_nothing_twice(steps: list[tuple[int, bool]]) -> None:
    processes, expected, count, instance = Processes(), 0, 0, 0
    for more, restart in steps:
        if restart:
            instance, count = instance + 1, 0
        count += more
        expected += more
        for service in ("ingest-upbit", "validator", "aggregator"):
            message = health(service, f"i{instance}")
            message.exchanges.add(exchange="upbit", raw_messages=count, book_messages=2 * count)
            processes.observe(message, 1)
    assert processes.totals().get("upbit", (0, 0)) == (expected, 2 * expected)


def test_totals_begin_with_the_monitor() -> None:
    processes = Processes(start_time_ns=1_000)
    for service, started in (("ingest-upbit", 1), ("ingest-bithumb", 2_000)):
        for count in (70, 75):
            message = health(service)
            message.start_time_ns = started
            message.exchanges.add(exchange=service.removeprefix("ingest-"), raw_messages=count)
            processes.observe(message, 1)
    assert processes.totals() == {"bithumb": (75, 0), "upbit": (5, 0)}


def problem(key: str, severity: Severity = Severity.WARNING, text: str = "") -> Problem:
    return Problem(key, severity, "someone", text)


@given(st.lists(st.sets(st.sampled_from("abcde")), max_size=20))
def test_every_alert_is_raised_once_and_cleared_once(history: list[set[str]]) -> None:
    alerts, clock, open_keys = Alerts(), Clock(), set[str]()
    for keys in [*history, set()]:
        change = alerts.update([problem(key, text=f"{clock.mono_ns}") for key in keys], clock.forward(1))
        raised = {alert.problem.key for alert in change.raised}
        cleared = {alert.problem.key for alert in change.cleared}
        assert raised == keys - open_keys
        assert cleared == open_keys - keys
        open_keys = keys
    assert alerts.current() == []


def test_an_alert_keeps_its_beginning_while_its_text_changes_and_speaks_again_when_it_gets_worse() -> None:
    alerts, clock = Alerts(), Clock()
    alerts.update([problem("a")], clock())
    began = clock()
    assert not alerts.update([problem("a", text="other")], clock.forward(5)).raised
    assert [alert.problem.key for alert in alerts.update([problem("a", Severity.CRITICAL)], clock()).raised] == ["a"]
    assert alerts.current()[0].since == began


def test_the_worst_come_first_and_the_rest_is_counted() -> None:
    alerts = Alerts()
    many = [problem(f"w{number}") for number in range(MAX_ALERTS + 50)]
    alerts.update([*many, problem("c", Severity.CRITICAL)], Clock()())
    assert alerts.current()[0].problem.key == "c"
    assert alerts.left_out == 51


def test_an_alert_may_know_that_it_began_before_it_was_told() -> None:
    alerts, clock = Alerts(), Clock()
    now = clock()
    alerts.update([Problem("a", Severity.INFO, "x", "y", began_ns=now.mono_ns - 7 * SECOND)], now)
    since = alerts.current()[0].since
    assert now.wall_ns - since.wall_ns == now.mono_ns - since.mono_ns == 7 * SECOND
