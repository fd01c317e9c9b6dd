"""What `hoga up` starts, with which environment, and how it speaks."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from hoga.cli.child import Death, Line, read_line
from hoga.cli.plan import Wishes, children, environment
from hoga.cli.reporter import Reporter
from hoga.cli.up import _simulated
from hoga.domain.errors import ConfigError
from hoga.runtime.config import NatsSettings, load_settings
from services.simulator.venues.registry import EMULATORS
from services.simulator.venues.registry import get as emulator_of

CODES = ("binance_future", "upbit")


def wishes(simulator: tuple[str, int] | None = None) -> Wishes:
    return Wishes(CODES, NatsSettings(url="nats://127.0.0.1:5555"), 8081, simulator)


def only_settings(of: Wishes) -> dict[str, str]:
    return {key: value for key, value in environment(of).items() if key.startswith("HOGA_")}


def test_there_is_an_ingest_for_each_exchange_and_one_of_everything_else() -> None:
    names = [spec.name for spec in children(wishes())]
    assert names == ["validator", "aggregator", "ingest-binance-future", "ingest-upbit", "monitor"]
    assert [spec.name for spec in children(wishes(("127.0.0.1", 9200))) if spec.first] == ["simulator"]


def test_the_environment_is_settings_that_the_services_accept() -> None:
    """Every variable is read back by the real reader, and says what was meant."""
    settings = load_settings(env=only_settings(wishes(("127.0.0.1", 9201))))
    assert settings.nats.url == "nats://127.0.0.1:5555"
    assert settings.monitor.port == 8081
    assert settings.simulator.port == 9201
    assert settings.exchange("upbit").ws_url == "ws://127.0.0.1:9201/upbit"
    assert settings.exchange("binance_future").rest_url == "http://127.0.0.1:9201/binance_future"
    assert settings.exchange("bithumb").ws_url == ""


def test_many_processes_on_one_host_never_share_a_metrics_port() -> None:
    assert load_settings(env={"HOGA_METRICS_PORT": "9100", **only_settings(wishes())}).metrics.port == 0


def test_against_the_real_exchanges_no_endpoint_is_touched() -> None:
    assert not [key for key in environment(wishes()) if key.endswith("_URL") and key != "HOGA_NATS_URL"]


def test_only_the_wished_exchanges_are_expected() -> None:
    some = Wishes(["upbit"], NatsSettings(), 8081, None)
    settings = load_settings(env=only_settings(some))
    assert settings.exchange("upbit").enabled
    assert not settings.exchange("bithumb").enabled


def test_the_settings_file_is_passed_on_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = environment(Wishes(CODES, NatsSettings(), 1, None, Path("mine.toml")))
    assert env["HOGA_CONFIG"] == str(tmp_path / "mine.toml")


# Lines.


def test_log_lines_are_split_and_other_lines_kept() -> None:
    text = "2026-03-01T09:30:00.123Z WARNING ingest-upbit link: reconnecting in 0.4 s"
    assert read_line(text) == Line("reconnecting in 0.4 s", "WARNING")
    assert read_line("ValueError: no") == Line("ValueError: no")


def reporter(*, verbose: bool = False) -> tuple[Reporter, io.StringIO]:
    out = io.StringIO()
    return Reporter(Console(file=out, width=60), ["validator", "nats"], verbose=verbose), out


def test_only_complaints_are_shown_and_while_starting_only_errors() -> None:
    voice, out = reporter()
    for level in ("ERROR", "WARNING", "INFO", ""):
        voice.line("validator", Line(f"first {level}", level))
    assert out.getvalue().splitlines() == ["validator first ERROR"]
    voice.starting = False
    for level in ("ERROR", "WARNING", "INFO", ""):
        voice.line("nats", Line(f"second {level}", level))
    assert out.getvalue().splitlines()[1:] == ["nats      second ERROR", "nats      second WARNING"]
    assert voice.last_complaint("validator") == "first WARNING"
    assert voice.last_complaint("nats") == "second WARNING"
    voice.stopping = True
    voice.line("nats", Line("third", "ERROR"))
    voice.death(Death("nats", 1, "", 0.5))
    assert "third" not in out.getvalue()
    assert "ended" not in out.getvalue()


def test_a_repeated_complaint_is_shown_once() -> None:
    voice, out = reporter()
    for _ in range(5):
        voice.line("validator", Line("again", "ERROR"))
    voice.line("nats", Line("again", "ERROR"))
    assert out.getvalue().count("again") == 2


def test_what_a_process_says_is_never_read_as_markup() -> None:
    voice, out = reporter(verbose=True)
    voice.line("validator", Line("[bold]x[/] [/nonsense] :smile:", "INFO"))
    assert "[bold]x[/] [/nonsense] :smile:" in out.getvalue()


def test_a_death_is_one_line_with_the_code_and_the_last_words() -> None:
    voice, out = reporter()
    voice.death(Death("validator", 1, "ValueError: no", 0.5))
    voice.death(Death("nats", -9, "whatever", None))
    lines = " ".join(out.getvalue().split())
    assert "validator ended (exit code 1: ValueError: no); starting again in 0.5 s" in lines
    assert "nats ended (killed by SIGKILL); not started again" in lines


def test_without_a_terminal_the_status_is_printed_now_and_then() -> None:
    voice, out = reporter()
    for number in range(100):
        voice.status(f"waiting {number}")
    voice.status("")
    assert out.getvalue().splitlines() == ["waiting 0"]


def test_an_exchange_without_an_emulator_is_not_simulated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(EMULATORS, "upbit")
    assert _simulated(CODES, named=False) == ["binance_future"]
    assert "upbit" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"upbit: no emulator, .* known: binance_future"):
        _simulated(CODES, named=True)
    with pytest.raises(ConfigError, match="upbit has no emulator"):
        emulator_of("upbit")
