"""The dashboards and alert rules as tests see them: panels, queries, and queries made fit for Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"


@dataclass(frozen=True, slots=True)
class Query:
    dashboard: str
    panel: str
    text: str

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.panel}: {self.text}"

    def plain(self, *, rate_interval: str = "30s", exchange: str = ".*") -> str:
        """As Grafana sends it, its variables filled in; AssertionError where one is left."""
        text = self.text.replace("$__rate_interval", rate_interval).replace("$exchange", exchange)
        assert "$" not in text, f"unknown variable in {self}"
        return text


def load(path: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return board


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Those that show data, rows not."""
    for panel in board["panels"]:
        if panel["type"] != "row":
            yield panel


def queries() -> Iterator[Query]:
    for path in DASHBOARDS:
        for panel in panels(load(path)):
            for target in panel["targets"]:
                yield Query(path.stem, panel["title"], target["expr"])


def metric_names(text: str) -> set[str]:
    """Our own metrics in a query or a file of rules."""
    return set(re.findall(r"\bhoga_[a-z0-9_]+", text))
