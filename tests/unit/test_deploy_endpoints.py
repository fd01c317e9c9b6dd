"""The choice between real and simulated exchanges: what is written, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import endpoints
from hoga.domain.errors import ConfigError
from hoga.exchanges import registry
from hoga.runtime.config import Settings, load_settings
from tests.unit.deploy_http import Answers, answering


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hoga.toml"
    monkeypatch.setenv("HOGA_CONFIG", str(path))
    monkeypatch.delenv("HOGA_TAPES", raising=False)  # the tests' own, and no setting
    return path


@pytest.fixture
def neighbour(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Stands for whatever answers on the metrics port; simulator and ingests are looked for on this machine."""
    with answering() as answers:
        monkeypatch.setattr(endpoints, "METRICS_PORT", answers.port)
        yield answers


def test_where_no_simulator_answers_the_exchanges_are_real(
    file: Path, neighbour: Answers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(endpoints, "SIMULATOR", "no-such-host.invalid")
    assert endpoints.main() == 0
    assert load_settings(file, env={}) == Settings()
    assert "REAL" in capsys.readouterr().out


def test_where_the_simulator_answers_every_exchange_is_simulated(
    file: Path, neighbour: Answers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    neighbour.say(200, b'{"service": "simulator", "healthy": true}')
    monkeypatch.setattr(endpoints, "SIMULATOR", "127.0.0.1")
    assert endpoints.main() == 0
    settings = load_settings(file, env={})
    assert len(settings.exchanges) == len(registry.supported()) >= 4
    for code in registry.supported():
        assert settings.exchange(code).ws_url == f"ws://127.0.0.1:9200/{code}"
        assert settings.exchange(code).rest_url == f"http://127.0.0.1:9200/{code}"
    assert "SIMULATED" in capsys.readouterr().out


def test_something_else_under_the_name_of_the_simulator_is_no_simulator(
    file: Path, neighbour: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "SIMULATOR", "127.0.0.1")
    for body in (b'{"service": "monitor"}', b"<html>", b"[]", b"1", b"\xff"):
        neighbour.say(200, body)
        assert endpoints.main() == 0
        assert load_settings(file, env={}).exchanges == {}


@pytest.mark.parametrize("now", [True, False])
def test_a_running_stack_is_not_turned_over(file: Path, now: bool) -> None:
    endpoints.write(file, endpoints.LIVE if now else endpoints.settings_text())
    with pytest.raises(ConfigError, match=r"ingest-upbit: running on .*down"):
        endpoints.refuse_to_mix(file, now, lambda: ["ingest-upbit"])
    endpoints.refuse_to_mix(file, not now, lambda: ["ingest-upbit"])
    endpoints.refuse_to_mix(file, now, list)


def test_a_first_start_has_nothing_to_mix_with(file: Path) -> None:
    endpoints.refuse_to_mix(file, True, lambda: ["ingest-upbit"])


def test_a_refusal_is_one_line_and_keeps_what_was_written(
    file: Path, neighbour: Answers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    neighbour.say(200, b'{"service": "simulator"}')
    monkeypatch.setattr(endpoints, "SIMULATOR", "127.0.0.1")
    monkeypatch.setattr(endpoints, "running_ingests", lambda: ["ingest-upbit", "ingest-bithumb"])
    endpoints.write(file, endpoints.LIVE)
    assert endpoints.main() == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "ingest-upbit, ingest-bithumb: running on the real exchanges" in said
    assert file.read_text("utf-8") == endpoints.LIVE


def test_a_demo_without_its_simulator_is_refused_once(
    file: Path, neighbour: Answers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(endpoints, "SIMULATOR", "no-such-host.invalid")
    monkeypatch.setattr(endpoints.sys, "argv", ["endpoints.py", "--demo"])
    assert endpoints.main() == 0
    monkeypatch.setattr(endpoints.sys, "argv", ["endpoints.py"])
    assert endpoints.main() == 1
    assert "a demo is wanted" in capsys.readouterr().err
    assert not file.exists()
    assert endpoints.main() == 0  # the next `up` was none with `--profile demo`
    assert "REAL" in capsys.readouterr().out


def test_no_exchange_stays_real_in_a_demo(
    file: Path, neighbour: Answers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    neighbour.say(200, b'{"service": "simulator"}')
    monkeypatch.setattr(endpoints, "SIMULATOR", "127.0.0.1")
    monkeypatch.setenv("HOGA_EXCHANGES_UPBIT_REST_URL", "https://sg-api.upbit.com")
    assert endpoints.main() == 1
    assert "HOGA_EXCHANGES_UPBIT_REST_URL = https://sg-api.upbit.com" in capsys.readouterr().err


def test_ingests_are_found_by_the_names_they_have_in_compose() -> None:
    compose = (Path(__file__).parents[2] / "docker-compose.yml").read_text("utf-8")
    prometheus = (Path(__file__).parents[2] / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8")
    for code in registry.supported():
        host = f"ingest-{code.replace('_', '-')}"
        assert f"  {host}: {{ <<: *ingest, command: [services.ingest, --exchange, {code}] }}\n" in compose
        assert f"- {host}:9100\n" in prometheus
