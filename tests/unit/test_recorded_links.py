"""Which links a recording had, and when they were gone."""

from __future__ import annotations

from hoga.domain.links import LinkEventKind
from hoga.runtime.recorded_links import RecordedLinks

SECOND = 10**9
OPENED, CLOSED = LinkEventKind.OPENED, LinkEventKind.CLOSED


class Tape:
    def __init__(self) -> None:
        self.links = RecordedLinks()
        self.told: list[tuple[str, LinkEventKind, str]] = []

    def connect(self, conn: str, seconds: float) -> None:
        self._take(self.links.connected(conn, int(seconds * SECOND)))

    def frame(self, conn: str, native: str, seconds: float) -> None:
        self.links.link(conn, int(seconds * SECOND))
        self._take(self.links.carries(conn, native))

    def _take(self, news) -> None:
        self.told += [(native, event.kind, event.link) for native, event in news]


def test_a_connection_that_is_made_again_is_another_link() -> None:
    tape = Tape()
    tape.connect("c", 0)
    tape.frame("c", "X", 1)
    tape.connect("c", 2)
    tape.frame("c", "X", 3)
    assert [one[:2] for one in tape.told] == [("X", OPENED), ("X", CLOSED), ("X", OPENED)]
    assert len({link for _, kind, link in tape.told if kind is OPENED}) == 2


def test_two_lines_of_one_recording_are_both_open_whichever_begins() -> None:
    tape = Tape()
    tape.connect("a", 0)
    tape.frame("a", "X", 0.1)
    tape.connect("b", 0.2)
    for tenth in range(3, 100):
        tape.frame("ab"[tenth % 2], "X", tenth / 10)
    tape._take(tape.links.ended())
    assert tape.told == [("X", OPENED, "a"), ("X", OPENED, "b")]


def test_one_that_a_newer_one_silently_took_the_place_of_is_gone_with_all_it_carried() -> None:
    for seconds, end in ((5.0, False), (0.5, True)):
        tape = Tape()
        tape.connect("a", 0)
        tape.frame("a", "X", 1)
        tape.frame("a", "Y", 1)
        tape.connect("b", 2)
        tape.frame("b", "X", 2.1)
        tape.frame("b", "X", 2 + seconds)
        if end:
            tape._take(tape.links.ended())
        assert tape.told[2:] == [("X", OPENED, "b"), ("X", CLOSED, "a"), ("Y", CLOSED, "a")]


def test_connections_of_different_symbols_do_not_replace_each_other() -> None:
    tape = Tape()
    tape.connect("a", 0)
    tape.frame("a", "X", 1)
    tape.connect("b", 2)
    for second in range(3, 20):
        tape.frame("b", "Y", second)
    tape._take(tape.links.ended())
    assert tape.told == [("X", OPENED, "a"), ("Y", OPENED, "b")]


def test_one_that_speaks_again_is_back() -> None:
    tape = Tape()
    tape.connect("a", 0)
    tape.frame("a", "X", 1)
    tape.connect("b", 2)
    tape.frame("b", "X", 6)
    tape.frame("a", "X", 7)
    assert tape.told[1:] == [("X", OPENED, "b"), ("X", CLOSED, "a"), ("X", OPENED, "a")]
