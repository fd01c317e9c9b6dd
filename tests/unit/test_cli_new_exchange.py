"""`hoga new-exchange`: the template passes the battery of exchanges, and what is written is the template renamed."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

import hoga
from hoga.cli.new_exchange import FILES, write
from hoga.domain.errors import ConfigError
from hoga.exchanges import registry
from hoga.exchanges.template import EXCHANGE
from tests.contract.samples_template import SAMPLES
from tests.contract.test_exchanges import TestEveryExchange as Battery

ROOT = Path(hoga.__file__).parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", [name for name in dir(Battery) if name.startswith("test_")])
def test_the_template_passes_the_battery(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.EXCHANGES, "template", EXCHANGE)
    getattr(Battery(), name)(EXCHANGE, SAMPLES["template"])


def test_the_files_are_written_under_the_new_code(checkout: Path) -> None:
    paths = write("new_one", checkout)
    assert paths[0] == "hoga/exchanges/new_one/__init__.py"
    assert len(paths) == len(FILES)
    for path in paths:
        text = (checkout / path).read_text("utf-8")
        ast.parse(text)
        assert "template" not in text.lower()
    assert "class NewOneStrategy" in (checkout / paths[0]).read_text("utf-8")


@pytest.mark.parametrize("code", ["", "Kraken", "kraken", "a__b", "9x", "../x", "template"])
def test_a_code_that_cannot_be_is_refused(code: str, checkout: Path) -> None:
    with pytest.raises(ConfigError, match="CODE"):
        write(code, checkout)


def test_nothing_is_overwritten_and_nothing_half_written(checkout: Path) -> None:
    there = checkout / "tests/support/naive_fresh.py"
    there.write_text("mine")
    with pytest.raises(ConfigError, match="naive_fresh"):
        write("fresh", checkout)
    assert there.read_text() == "mine"
    assert not (checkout / "hoga/exchanges/fresh").exists()


def test_an_installed_package_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkout"):
        write("fresh", tmp_path)
