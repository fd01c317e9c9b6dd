"""What the bus keeps for those who come later, and what a line may be told that the other is not."""

import random

import pytest

from services.simulator.link import Link
from tests.sim.broker import Broker, Stream
from tests.sim.loop import SimLoop
from tests.sim.watched import Watched


@pytest.fixture
def loop():
    loop = SimLoop(limit_s=100)
    yield loop
    loop.close()


def test_a_stream_gives_the_newest_value_that_matches_until_it_is_too_old(loop):
    broker = Broker(loop, random.Random(1))
    answers = []
    ask = lambda: broker.route("$JS.API.DIRECT.GET.BOOKS.book.*", b"", answers.append)  # noqa: E731
    ask()
    broker.ensure("BOOKS", ["book.*"], max_age_s=20.0)
    ask()
    for subject, payload in (("book.a", b"1"), ("book.b", b"2"), ("book.a", b"3"), ("other.a", b"4")):
        broker.route(subject, payload, None)
    ask()
    loop.call_later(21.0, loop.stop)
    loop.run_forever()
    ask()
    assert answers == [None, b"", b"3", b""]


def test_a_stream_without_an_age_keeps_its_values():
    stream = Stream(["book.*"], 0.0, {"book.a": (1.0, b"1")})
    assert stream.kept("book.*", 1e6) == [("book.a", b"1")]
    assert stream.kept("book.b", 1e6) == []


def test_one_of_two_lines_is_told_other_sizes_once():
    tampered, lied = [], []
    faults = Watched(lambda native, plain: tampered.append((native, plain)), lied.append)
    lines = {Link(number, "", None, None) for number in (1, 2)}
    frame, other = b'{"b":[["10.5","0"],["11.0","0.029"]]}', b'{"b":[["10.5","0"],["11.0","0.039"]]}'
    faults.disagree("X", 1)
    assert faults.strike("X", [(lines, b'{"b":[["10.5","0"]]}')]) == [(lines, b'{"b":[["10.5","0"]]}')]
    told = faults.strike("X", [(lines, frame)])
    assert [([link.number for link in links], payload) for links, payload in told] == [([2], other), ([1], frame)]
    assert faults.strike("X", [(lines, frame)]) == [(lines, frame)]
    assert (tampered, lied) == ([], ["X"])


def test_plain_nonsense_is_told_from_other_spoiled_frames():
    tampered = []
    faults = Watched(lambda native, plain: tampered.append(plain), lambda native: None)
    faults.arm("X", "malformed", 1, lambda payload: payload.replace(b"10.5", b"-1"))
    faults.arm("X", "malformed", 1, lambda payload: b"")
    for _ in range(2):
        faults.strike("X", [({1}, b'{"ask_price":10.5,"ask_size":1}')])
    assert tampered == [True, False]
