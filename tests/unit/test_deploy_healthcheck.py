"""The containers' health check, as Docker runs it: exit code and one line."""

from __future__ import annotations

import socket

import pytest

from deploy import healthcheck
from tests.unit.deploy_http import answering


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1), (500, 1)])
def test_the_exit_code_is_what_the_service_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int, code: int
) -> None:
    with answering() as service:
        service.say(status, b'{"reasons": {"links": "upbit-0: connecting"}}')
        monkeypatch.setenv("HOGA_METRICS_PORT", str(service.port))
        assert healthcheck.main() == code
        assert service.asked == ["/healthz"]
    assert capsys.readouterr().out == '{"reasons": {"links": "upbit-0: connecting"}}\n'


def test_a_service_that_is_not_there_is_not_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HOGA_METRICS_PORT", str(taken.getsockname()[1]))
        assert healthcheck.main() == 1
    assert capsys.readouterr().out.startswith("/healthz does not answer: ")


def test_a_service_that_hangs_is_not_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(healthcheck, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HOGA_METRICS_PORT", str(silent.getsockname()[1]))
        assert healthcheck.main() == 1
    assert capsys.readouterr().out == "/healthz does not answer: timed out\n"
