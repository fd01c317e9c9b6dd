"""Settings: every wrong value is one line that names the key, what was found and what is allowed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoga.domain.errors import ConfigError
from hoga.exchanges import registry
from hoga.runtime import knobs
from hoga.runtime.config import Settings, describe, load_settings, summary
from hoga.runtime.settings import ExchangeSettings, LogSettings, NatsSettings, ValidatorSettings

CODE = registry.supported()[0]
OTHER = registry.supported()[1]
EX = f"HOGA_EXCHANGES_{CODE.upper()}"


def error_of(env: dict[str, str], path: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(path, env)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_nothing_set_is_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(env={"PATH": "/bin", "HOGA_VALIDATOR_DEPTH": ""})
    assert settings == Settings()
    assert summary(settings) == "all defaults"
    assert settings.exchange(CODE) == ExchangeSettings()


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("HOGA_VALIDATOR_DEPTH", "0", ["HOGA_VALIDATOR_DEPTH", "= 0", "1 to 1000"]),
        ("HOGA_VALIDATOR_DEPTH", "1001", ["1001", "1 to 1000"]),
        ("HOGA_VALIDATOR_DEPTH", "many", ["many", "a whole number"]),
        ("HOGA_VALIDATOR_DEPTH", "20.5", ["20.5", "a whole number"]),
        ("HOGA_INGEST_SNAPSHOT_COOLDOWN_MS", "99", ["99", "from 100"]),
        ("HOGA_INGEST_BACKOFF_MIN_S", "nan", ["nan", "a number from"]),
        ("HOGA_INGEST_BACKOFF_MAX_S", "inf", ["inf", "a number from"]),
        ("HOGA_NATS_URL", "localhost", ["localhost", "nats://127.0.0.1:4222"]),
        ("HOGA_NATS_URL", "http://localhost:4222", ["http://localhost:4222", "nats, tls, ws or wss"]),
        ("HOGA_NATS_PENDING_BYTES", "-1", ["-1", "from 65536"]),
        ("LOG_LEVEL", "loud", ["LOG_LEVEL", "loud", "ERROR, WARNING, INFO, DEBUG"]),
        ("DEBUG_MESSAGE_LOGGING", "maybe", ["DEBUG_MESSAGE_LOGGING", "maybe", "1 or 0"]),
        ("HOGA_MONITOR_PORT", "65536", ["65536", "0 to 65535"]),
        ("HOGA_MONITOR_HOST", "a b", ["a b", "host name"]),
        (f"{EX}_GAP_POLICY", "stop", ["GAP_POLICY", "stop", "continue, ignore, resync"]),
        (f"{EX}_SYMBOLS", "BTC-USDT,BTCUSDT", ["BTCUSDT", "such as BTC-USDT"]),
        (f"{EX}_WS_URL", "wss://host/", ["wss://host/", "ws:// or wss://"]),
        (f"{EX}_REST_URL", "ftp://host", ["ftp://host", "http(s)://"]),
        (f"{EX}_REST_SHARE", "1.5", ["1.5", "0.01 to 1"]),
        ("HOGA_UNIVERSE_HYSTERESIS", "1", ["= 1", "0 to 0.99"]),
        (f"HOGA_UNIVERSE_EXCHANGES_{CODE.upper()}_TOP_N", "x", ["TOP_N", "whole number"]),
        # unknown keys, with what was probably meant
        ("HOGA_NAST_URL", "nats://x", ["HOGA_NAST_URL", "did you mean HOGA_NATS_URL"]),
        ("HOGA_VALIDATOR_DEPHT", "5", ["HOGA_VALIDATOR_DEPHT", "did you mean HOGA_VALIDATOR_DEPTH"]),
        (f"{EX}_WSURL", "ws://x", ["WSURL", "did you mean ws_url"]),
        (f"HOGA_EXCHANGES_{CODE[:-1].upper()}_WS_URL", "ws://x", ["unknown exchange", f"did you mean {CODE}"]),
        ("HOGA_WHAT", "1", ["HOGA_WHAT", "is not a setting"]),
    ],
)
def test_a_wrong_variable_is_one_line(variable: str, text: str, words: list[str]) -> None:
    message = error_of({variable: text})
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[validator]\ndepth = 0", ["validator.depth", "= 0", "1 to 1000"]),
        ("[validator]\ndepth = '20'", ["validator.depth", "a whole number"]),
        ("[validator]\ndepth = true", ["validator.depth", "a whole number"]),
        ("[validator]\ndepht = 20", ["validator.depht", "did you mean depth"]),
        ("[validatr]\ndepth = 20", ["validatr", "did you mean validator"]),
        ("depth = 20", ["depth", "no such section"]),
        ("validator = 3", ["validator", "is not a setting"]),
        ("[exchanges.nowhere]\nsymbols = []", ["unknown exchange 'nowhere'"]),
        (f"[exchanges.{CODE}]\nsymbols = 'BTC-USDT'", [f"exchanges.{CODE}.symbols", "a list of"]),
        (f"[exchanges.{CODE}]\nsimbols = []", ["simbols", "did you mean symbols"]),
        (f"[exchanges]\n{CODE} = 1", [CODE, "is not a setting"]),
        ("[universe]\nquotes = ['USDT', 5]", ["universe.quotes", "currency codes"]),
        ("[log]\nlevel = 'chatty'", ["log.level", "chatty", "ERROR, WARNING"]),
        ("[validator\n", ["is not TOML"]),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_file(tmp_path: Path, toml: str, words: list[str]) -> None:
    file = tmp_path / "my.toml"
    file.write_text(toml)
    message = error_of({}, file)
    assert all(word in message for word in [*words, "my.toml"]), message


def test_a_missing_file_is_one_line() -> None:
    assert "/nowhere/hoga.toml" in error_of({"HOGA_CONFIG": "/nowhere/hoga.toml"})


def test_the_environment_overrides_the_file_and_the_own_name_the_alias(tmp_path: Path) -> None:
    file = tmp_path / "hoga.toml"
    file.write_text(
        f"[validator]\ndepth = 50\nmin_interval_ms = 7\n[log]\nlevel = 'ERROR'\n[exchanges.{CODE}]\nrest_share = 0.5"
    )
    env = {
        "HOGA_CONFIG": str(file),
        "HOGA_VALIDATOR_DEPTH": "100",
        "LOG_LEVEL": "debug",
        "HOGA_LOG_LEVEL": "Warning",
        "DEBUG_MESSAGE_LOGGING": "1",
        f"{EX}_SYMBOLS": " BTC-USDT , ETH-USDT-261225,",
    }
    settings = load_settings(env=env)
    assert settings.validator == ValidatorSettings(depth=100, min_interval_ms=7)
    assert settings.log == LogSettings(level="WARNING", debug_messages=True)
    assert settings.exchange(CODE) == ExchangeSettings(rest_share=0.5, symbols=["BTC-USDT", "ETH-USDT-261225"])


def test_the_universe_of_one_exchange_changes_only_its_own_keys() -> None:
    env = {
        "HOGA_UNIVERSE_TOP_N": "12",
        "HOGA_UNIVERSE_QUOTES": "KRW",
        f"HOGA_UNIVERSE_EXCHANGES_{CODE}_TOP_N".upper(): "3",
    }
    universe = load_settings(env=env).universe
    assert (universe.rules(CODE).top_n, universe.rules(CODE).quotes) == (3, ["KRW"])
    assert (universe.rules(OTHER).top_n, universe.rules(OTHER).quotes) == (12, ["KRW"])


def test_a_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    settings = load_settings(
        env={"HOGA_NATS_PASSWORD_FILE": str(secret), "HOGA_NATS_URL": "nats://me:hidden@host:4222"}
    )
    assert settings.nats.password == "s3cret"
    assert settings.nats.address == "nats://host:4222"
    assert "s3cret" not in summary(settings)
    assert "hidden" not in summary(settings)
    assert "nats.password=***" in summary(settings)
    assert "HOGA_NATS_PASSWORD_FILE" in error_of({"HOGA_NATS_PASSWORD_FILE": str(tmp_path / "none")})


def test_backoff_ceilings_must_be_in_order() -> None:
    assert "ingest.backoff_max_s" in error_of({"HOGA_INGEST_BACKOFF_MIN_S": "5", "HOGA_INGEST_BACKOFF_MAX_S": "1"})


def test_several_servers_may_be_named() -> None:
    url = "nats://a:4222,tls://b:4222"
    assert load_settings(env={"HOGA_NATS_URL": url}).nats == NatsSettings(url=url)


def test_every_documented_line_is_a_setting_with_its_default_and_a_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = describe().splitlines()
    entries = [line.removeprefix("#").partition("=") for line in lines if line.startswith("#HOGA_")]
    assert entries.pop(0) == ("HOGA_CONFIG", "=", "hoga.toml")
    env = {name.replace("<CODE>", CODE.upper()): value for name, _, value in entries}
    settings = load_settings(env=env)
    assert summary(settings) == "all defaults"
    assert len(entries) == len(env) > 50
    for index, line in enumerate(lines):
        if line.startswith("#HOGA_") and "HOGA_CONFIG" not in line:
            assert lines[index - 1].startswith("# "), line
            assert "[" in lines[index - 1], line


class OneLine(Exception):
    """A refusal as it should be."""


def one_line_or_settings(env: dict[str, str]) -> Settings:
    try:
        return load_settings(env=env)
    except ConfigError as error:
        raise (OneLine if len(str(error).splitlines()) == 1 else AssertionError)(str(error)) from None


@given(st.text(min_size=1, max_size=20).filter(lambda text: "\x00" not in text))
def test_no_text_makes_anything_but_a_value_or_a_line(text: str) -> None:
    for section, struct in (("VALIDATOR", ValidatorSettings), ("NATS", NatsSettings), ("LOG", LogSettings)):
        for knob in knobs.of(struct):
            with contextlib.suppress(OneLine):
                one_line_or_settings({f"HOGA_{section}_{knob.key.upper()}": text})


def test_the_names_of_the_tests_set_nothing_and_harm_nobody() -> None:
    assert load_settings(env={"HOGA_TAPES": "/somewhere", "HOGA_STACK": "1"}) == load_settings(env={})
