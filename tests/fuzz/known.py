"""Findings in code that is not mended yet: each with its case, so that whoever mends it is told to strike it off here.

A case that is listed must fail as it says, one that is not listed must pass (`test_fuzz`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.fuzz.target import Target


@dataclass(frozen=True)
class Known:
    group: str
    case: str
    """File in `cases/<group>`."""
    place: str
    """As `engine.place_of` tells it; `*` stands for anything."""
    what: str

    def fits(self, place: str) -> bool:
        return fnmatchcase(place, self.place)


KNOWN: tuple[Known, ...] = (
    Known(
        "aggregator",
        "a-universe-of-the-last-revision",
        "services/aggregator/desk.py message ValueError",
        "a kept universe of revision 2^64 - 1 is restored, and none can be published after it",
    ),
    Known(
        "aggregator",
        "a-universe-with-a-symbol-that-is-none",
        "BrokenError a universe with a symbol that is none",
        "a kept universe with an empty symbol is restored and published again",
    ),
    Known(
        "client",
        "a-universe-that-is-none",
        "hoga/client/client.py universe DecodeError",
        "Client.universe lets protobuf's DecodeError out instead of an error of ours",
    ),
    Known(
        "control",
        "a-command-that-nests",
        "services/simulator/control.py act RecursionError",
        "POST /control answers 500 to deep nesting",
    ),
    Known(
        "control",
        "an-action-that-is-a-list",
        "services/simulator/control.py act TypeError",
        "POST /control answers 500 to an action that is no text",
    ),
    Known(
        "control",
        "an-exchange-that-is-none",
        "hoga/exchanges/registry.py get ConfigError",
        "POST /control answers 500 to an unknown exchange where the action looks it up in the registry",
    ),
    Known(
        "control",
        "an-argument-of-another-type",
        "services/simulator/deeds.py * AttributeError",
        "POST /control answers 500 to an argument of another type than the action takes",
    ),
    Known(
        "control",
        "a-number-beyond-all-bounds",
        "services/simulator/deeds.py * OverflowError",
        "POST /control answers 500 to a number that no float holds",
    ),
    Known(
        "header",
        "a-used-weight-beyond-all-budgets",
        "BrokenError no REST request for *",
        "one answer that tells an absurd used weight stops every REST request for hours or months (Budget.reported)",
    ),
    Known(
        "ingest",
        "a-symbol-of-2000-letters",
        "BrokenError a text of … characters for people",
        "the refusal of a snapshot repeats a symbol of any length (ExchangeConnector.ask_snapshot)",
    ),
)


def known(target: Target, place: str) -> bool:
    """Whether a finding at that place of the code is listed."""
    return any(one.group == target.group and one.fits(place) for one in KNOWN)
