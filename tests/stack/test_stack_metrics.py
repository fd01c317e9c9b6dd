"""The stack's Prometheus: every target answers, the rules hold, and every panel of the dashboards has its data."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from .compose import ROOT, RUN_ONCE, Stack, run
from .dashboards import Query, queries
from .reading import wait_for

MAY_BE_EMPTY = {
    ("links", "Odd frames"),
}
"""Panels of things that need not happen in a demo; all others must show data."""


def ask(stack: Stack, query: str) -> list[dict[str, Any]]:
    """The result of an instant query; AssertionError with Prometheus's own words where it is none."""
    answer = json.loads(stack.fetch("PROMETHEUS_PORT", f"/api/v1/query?{urlencode({'query': query})}"))
    assert answer["status"] == "success", f"{query}: {answer}"
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def test_every_target_answers(stack: Stack) -> None:
    wanted = {"localhost", *stack.services()} - RUN_ONCE - {"nats", "prometheus"}
    wait_for(lambda: {row["metric"]["instance"] for row in ask(stack, "up == 1")}, wanted)


def test_every_panel_of_the_dashboards_has_its_data(stack: Stack) -> None:
    """A query that is wrong fails at once; data may take a few scrapes to appear."""
    tried = list(queries())
    assert len(tried) > 30
    wait_for(lambda: [str(query) for query in tried if not ask(stack, query.plain()) and not _may_be_empty(query)], [])


def test_a_dashboard_narrowed_to_one_exchange_shows_that_one(stack: Stack) -> None:
    for query in queries():
        if "$exchange" in query.text:
            for row in ask(stack, query.plain(exchange="upbit")):
                assert row["metric"].get("exchange", "upbit") == "upbit", query


def test_rules_and_configuration_are_what_prometheus_wants(stack: Stack) -> None:
    image = stack.config()["services"]["prometheus"]["image"]
    folders = ("-v", f"{ROOT}/deploy/prometheus:/etc/prometheus:ro", "-v", f"{ROOT}/tests/stack:/tests:ro")
    promtool = ("docker", "run", "--rm", "--network", "none", "--entrypoint", "promtool", *folders, image)
    assert "SUCCESS" in run(
        *promtool, "check", "config", "--lint=all", "--lint-fatal", "/etc/prometheus/prometheus.yml"
    )
    assert "SUCCESS" in run(*promtool, "test", "rules", "/tests/alerts_test.yml")


def test_the_rules_are_loaded_and_no_alert_stays(stack: Stack) -> None:
    groups = json.loads(stack.fetch("PROMETHEUS_PORT", "/api/v1/rules"))["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 10
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
    # What the tests before did to the stack may have raised some; they must clear.
    wait_for(lambda: ask(stack, "ALERTS"), [])


def _may_be_empty(query: Query) -> bool:
    return (query.dashboard, query.panel) in MAY_BE_EMPTY
