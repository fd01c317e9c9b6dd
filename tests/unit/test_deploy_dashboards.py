"""The dashboards keep the rules of a good dashboard, and no query names a metric that nobody has."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.stack.dashboards import ALERTS, DASHBOARDS, ROOT, load, metric_names, panels, queries

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
each = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def test_there_are_the_three_dashboards() -> None:
    assert [path.stem for path in DASHBOARDS] == ["books", "links", "overview"]
    boards = [load(path) for path in DASHBOARDS]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == len(boards)


@each
def test_a_dashboard_is_described_fixed_and_free_of_one_servers_ids(path: Path) -> None:
    board = load(path)
    assert board["editable"] is False
    assert board["title"]
    assert board["description"]
    assert "id" not in board
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["exchange"]["datasource"] == DATASOURCE
    assert not re.search(r"https?://", path.read_text("utf-8"))


@each
def test_every_panel_says_what_it_shows_and_in_which_unit(path: Path) -> None:
    board = load(path)
    titles = [panel["title"] for panel in panels(board)]
    assert len(set(titles)) == len(titles)
    for panel in panels(board):
        title = panel["title"]
        assert title
        assert len(panel["description"]) > 20, title
        assert panel["fieldConfig"]["defaults"]["unit"], title
        assert panel["datasource"] == DATASOURCE, title
        assert panel["targets"], title
        for target in panel["targets"]:
            assert target["datasource"] == DATASOURCE, title
            assert target["instant"] is not target["range"], title
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references), title
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


@each
def test_no_panel_covers_another_or_leaves_the_grid(path: Path) -> None:
    board = load(path)
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] <= 24 - place["w"], panel["title"]
    for one, other in combinations(board["panels"], 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh"))


def test_counters_are_read_as_rates_over_grafanas_interval() -> None:
    for query in queries():
        for counter in re.finditer(r"(\w+\()?hoga_\w+_(?:total|bucket|count|sum)\b[^\[]*(\[[^\]]*\])?", query.text):
            assert counter[1] in ("rate(", "increase("), query
            assert counter[2] == "[$__rate_interval]", query
        assert not re.search(r"\[\d", query.text), query
        query.plain()


def test_every_metric_that_is_asked_for_is_declared_by_a_service() -> None:
    """Looks for the names as they are written in the sources, so that a renamed metric is noticed here."""
    sources = [*(ROOT / "hoga").rglob("*.py"), *(ROOT / "services").rglob("*.py")]
    declared = set().union(*(re.findall(r'"(hoga_[a-z0-9_]+)"', source.read_text("utf-8")) for source in sources))
    families = {name.removesuffix("_total") for name in declared}
    asked = metric_names(ALERTS.read_text("utf-8")).union(*(metric_names(query.text) for query in queries()))
    missing = {name for name in asked if re.sub(r"_(total|bucket|count|sum)$", "", name) not in families}
    assert not missing
    assert len(asked) > 25


def test_every_alert_has_a_test() -> None:
    tried = (ROOT / "tests" / "stack" / "alerts_test.yml").read_text("utf-8")
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text("utf-8"))
    assert len(alerts) > 10
    assert [alert for alert in alerts if alert not in tried] == []
