"""Only a test that fails catches a mutant, and only all mutants caught is a success."""

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.run import Fate, Outcome, Verdict, _conclude

SOUND = Outcome(0, "9 passed", 1.0)


@pytest.mark.parametrize(
    ("code", "fate"), [(0, Fate.SURVIVED), (1, Fate.CAUGHT), *((code, Fate.UNTRIED) for code in (2, 3, 4, 5, -9, None))]
)
def test_only_a_failing_test_catches_a_mutant(code: int | None, fate: Fate) -> None:
    assert Outcome(code, "", 1.0).fate is fate


@pytest.mark.parametrize("fate", Fate)
def test_a_mutant_that_is_not_caught_ends_the_command_with_1(fate: Fate, capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = [Verdict(MUTANTS[0], Fate.CAUGHT, 1.0, "FAILED a"), Verdict(MUTANTS[1], fate, 1.0, "why")]
    assert _conclude(SOUND, verdicts) == (fate is not Fate.CAUGHT)
    said = capsys.readouterr().out
    assert said.splitlines()[-1].startswith("2 mutants: ")
    assert (MUTANTS[1].what in said) == (fate is not Fate.CAUGHT)


def test_nothing_is_caught_by_tests_that_fail_anyway(capsys: pytest.CaptureFixture[str]) -> None:
    assert _conclude(Outcome(1, "FAILED a", 1.0), [Verdict(MUTANTS[0], Fate.CAUGHT, 1.0, "FAILED a")]) == 1
    assert "1 caught" not in capsys.readouterr().out
