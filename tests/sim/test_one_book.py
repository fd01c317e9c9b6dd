"""Which world a seed is, and the page of one book."""

from collections import Counter

from tests.sim.bias import ANY, WORLDS, world_of
from tests.sim.clock import Clock
from tests.sim.one_book import OneBook
from tests.sim.run import run_seed
from tests.sim.test_sim import run


def test_every_other_seed_is_a_mixed_world_and_every_biased_one_has_its_turn():
    counts = Counter(world_of(seed) for seed in range(2 * 100 * (len(WORLDS) - 1)))
    assert counts.pop("mixed") == 100 * (len(WORLDS) - 1)
    assert counts == dict.fromkeys(WORLDS.keys() - {"mixed"}, 100)
    assert WORLDS["mixed"] == ANY


def test_a_world_that_is_asked_for_is_the_one_that_its_seed_stands_for():
    seed = next(seed for seed in range(100) if world_of(seed) == "renumber")
    found = run("--seed", str(seed), "-v").stdout
    assert found.count("\n") > 100
    assert found == run("--seed", str(seed), "--world", "renumber", "-v").stdout
    assert found != run("--seed", str(seed), "--world", "rest", "-v").stdout


def test_the_page_of_one_book_tells_its_frames_and_decisions_and_changes_nothing():
    lines: list[str] = []
    with Clock() as clock:
        plain = run_seed(clock, 9, bias=WORLDS["rest"])
        code, _ = next(iter(plain["checked"].items()))
        watch = OneBook(code, "BTC-USDT", lines.append)
        watched = run_seed(clock, 9, bias=WORLDS["rest"], watch=watch)
    assert watched["digest"] == plain["digest"]
    words = Counter(line.split()[1] for line in lines)
    assert {"frame", "rest", "asks", "says", "book", "fault", "link", "process"} <= words.keys()
    assert words["frame"] > 50
    assert not any(line.split()[1] == code for line in lines)
    times = [float(line.split()[0]) for line in lines]
    assert times == sorted(times)
