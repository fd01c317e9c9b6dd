"""`.env.example` is current, and docker-compose.yml agrees with it and with nats.conf about users and passwords."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from deploy import env_example
from hoga.runtime.config import load_settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
NATS = (ROOT / "deploy" / "nats" / "nats.conf").read_text("utf-8")
USERS = re.findall(r"user: (\w+), password: \$NATS_(\w+)_PASSWORD", NATS)


def defaults() -> dict[str, str]:
    """Variable -> default, as `.env.example` writes them commented out."""
    return dict(re.findall(r"^#([A-Z0-9_<>]+)=(.*)$", EXAMPLE, re.MULTILINE))


def test_env_example_is_current() -> None:
    assert env_example.text() == EXAMPLE, "run: python -m deploy.env_example > .env.example"


def test_every_variable_has_a_line_of_meaning() -> None:
    for before, line in pairwise(EXAMPLE.splitlines()):
        if re.match(r"#HOGA_[A-Z0-9_<>]+=", line):
            assert re.match(r"# .{10}", before), line


def test_the_defaults_are_settings_that_load() -> None:
    env = {name: value for name, value in defaults().items() if "<" not in name and name != "HOGA_CONFIG"}
    assert load_settings(env=env) == load_settings(env={})


def test_every_user_has_a_password_variable_and_compose_gives_it() -> None:
    assert [user.upper() for user, _ in USERS] == [name for _, name in USERS]
    assert {user for user, _ in USERS} == {"ingest", "validator", "aggregator", "monitor", "window", "consumer"}
    for user, name in USERS:
        value = f"${{NATS_{name}_PASSWORD:-{user}}}"
        assert f"NATS_{name}_PASSWORD: '\"{value}\"'" in COMPOSE, "quoted, or NATS reads 123 as a number"
        assert defaults()[f"NATS_{name}_PASSWORD"] == user
        if user != "consumer":
            assert re.search(
                rf'HOGA_NATS_USER: {user}\b.*?HOGA_NATS_PASSWORD: "{re.escape(value)}"', COMPOSE, re.DOTALL
            )


def test_no_service_is_given_a_password_that_is_not_its_own() -> None:
    """.env holds them all and is handed to every service, so every one is blanked there."""
    shared = re.search(r"^x-environment: .*?(?=^\S)", COMPOSE, re.MULTILINE | re.DOTALL)
    assert shared
    blanked = set(re.findall(r'^  (\w+PASSWORD): ""$', shared[0], re.MULTILINE))
    assert blanked == {name for name in defaults() if name.endswith("PASSWORD") and not name.startswith("HOGA_")}


def test_what_compose_sets_itself_is_listed_as_such() -> None:
    hoga_variables = set(re.findall(r"\b(HOGA_[A-Z_]+):", COMPOSE))
    assert set(env_example.FIXED) == hoga_variables


def test_every_variable_of_compose_is_in_the_example_with_its_default() -> None:
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))
    assert used
    assert {name: defaults().get(name) for name in used} == used


def test_every_port_is_published_on_this_machine_only() -> None:
    ports = re.findall(r"^ +ports: \[(.*)\]$", COMPOSE, re.MULTILINE)
    assert len(ports) == COMPOSE.count("ports:") == 4
    assert all(port.startswith('"127.0.0.1:$') for port in ports)
