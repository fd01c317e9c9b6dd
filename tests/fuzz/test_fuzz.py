"""A few hundred inputs for every target, the same ones every time; all that ever failed; and the engine itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import engine, run
from tests.fuzz.cases import cases
from tests.fuzz.inputs import mutate, script, tree
from tests.fuzz.minimise import minimise
from tests.fuzz.target import Target, promise
from tests.fuzz.targets import every

SEED = 2026


@pytest.mark.parametrize("target", every().values(), ids=every())
def test_no_input_breaks_a_promise(target: Target) -> None:
    outcome = engine.fuzz(target, seed=SEED, executions=target.suite_runs)
    assert not outcome.findings, "\n".join(map(run.describe, outcome.findings))
    assert outcome.executions == target.suite_runs
    assert outcome.sorts >= 2, "the inputs hardly differ: is the target reached at all?"


@pytest.mark.parametrize(("target", "path"), [pytest.param(*one, id=f"{one[0].name}-{one[1].stem}") for one in cases()])
def test_what_once_failed_does_not_fail_again(target: Target, path: Path) -> None:
    data = path.read_bytes()
    _, error = engine.run_once(target, data)
    error = error or engine.too_large(target, data)[0]
    if error is not None:
        raise error


class TestEngine:
    def test_finds_a_planted_error_and_makes_it_small(self) -> None:
        outcome = engine.fuzz(_planted(), seed=1, executions=1000)
        (finding,) = outcome.findings
        assert isinstance(finding.error, ZeroDivisionError)
        assert finding.data == b"-", "the sign is all it takes"
        assert "make fuzz" in run.describe(finding)

    def test_the_same_seed_makes_the_same_inputs(self) -> None:
        inputs: list[list[bytes]] = [[], [], []]
        for seen, seed in zip(inputs, (1, 1, 2), strict=True):
            engine.fuzz(Target("x", seen.append, lambda: [b'{"a":[1,"b"]}']), seed=seed, executions=200)
        assert inputs[0] == inputs[1] != inputs[2]
        assert len(set(inputs[0])) > 100

    def test_an_input_that_costs_memory_beyond_its_size_is_a_finding(self) -> None:
        target = Target("x", lambda data: bytes(50 << 20) and len(data), lambda: [b"1"])
        outcome = engine.fuzz(target, seed=1, executions=engine.MEMORY_EVERY)
        assert [finding.place for finding in outcome.findings] == ["BrokenError … bytes of memory for an input of …"]

    def test_a_finding_is_minimal_in_events_and_bytes(self) -> None:
        events = [(b"A", b"xxxx"), (b"B", b"yyzyy"), (b"A", b"zz"), (b"C", b"")]

        def shows(data: bytes) -> bool:
            return any(what == b"B" and b"z" in payload for what, payload in script.read(data))

        assert script.read(minimise(script.write(events), shows)) == [(b"B", b"z")]

    def test_one_input_can_be_run_again(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "input.bin"
        path.write_bytes(b"{}")
        assert run.main(["--target", "frame:", "--replay", str(path)]) == 0
        assert "passes" in capsys.readouterr().out
        assert run.main(["--target", "no such target"]) == 2
        assert "frame:" in capsys.readouterr().err

    def test_a_short_run_tells_what_it_did(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run.main(["--target", "packing", "--minutes", "0.001", "--engine", "seeded"]) == 0
        assert "packing" in capsys.readouterr().out


class TestInputs:
    def test_json_is_written_back_as_it_was(self) -> None:
        for text in (b'{"a":1.50,"a":[true,null,"\xed\x98\xb8",1E-8],"":{}}', b"[]", b'"x"', b"1E400"):
            assert tree.write(tree.read(text)) == text

    def test_every_string_of_bytes_is_a_script(self) -> None:
        chance = Random(1)
        for _ in range(300):
            data = chance.randbytes(chance.randrange(60))
            events = script.read(data)
            assert script.read(script.write(events)) == events

    def test_mutations_reach_what_they_are_meant_to(self) -> None:
        """Repeated keys, deep nesting, numbers that are none, cut and doubled bytes."""
        seed, chance = b'{"a":{"b":[1,"2.50",{"c":null}]}}', Random(3)
        made = {mutate.mutate(seed, chance, [seed]) for _ in range(2000)}
        keys: list[Sequence[str]] = []
        for data in made:
            try:
                keys += [[key for key, _ in one] for one in tree.lists(tree.read(data)) if isinstance(one, tree.Pairs)]
            except (ValueError, RecursionError):
                continue
        assert any(len(set(names)) < len(names) for names in keys)
        for piece in (b"[" * 300, b"NaN", b"1e999", b"9" * 4000, b"\\ud800", b"\x00", b"\xff"):
            assert any(piece in data for data in made), piece
        assert max(map(len, made)) <= mutate.MAX_BYTES


def _planted() -> Target:
    def divide(data: bytes) -> int:
        promise(isinstance(data, bytes), "bytes")
        return 1 // (0 if b"-" in data else 1)

    return Target("planted", divide, lambda: [b'{"price":"12.5","ids":[1,2,3]}'])
