"""Which class of book a process uses, and that hoga runs without the native one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hoga.domain import books
from hoga.domain.book import PythonBook
from hoga.domain.errors import ConfigError
from tests.support.books import NativeBook, needs_native

WITHOUT = "sys.modules['hoga_native'] = None; "


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    word = books.in_use()
    yield
    books.use(word)


def version(before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; {before}from hoga.cli.main import main; sys.exit(main(['--version']))"
    inherited = {key: value for key, value in os.environ.items() if key != "HOGA_BOOK"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**inherited, **environment}
    )


def test_a_word_chooses_and_an_empty_one_does_not() -> None:
    books.use("python")
    assert type(books.new_book()) is PythonBook
    books.use("")
    assert books.in_use() == "python"
    with pytest.raises(ConfigError, match="HOGA_BOOK='fast': python"):
        books.use("fast")
    assert books.in_use() == "python"


@needs_native
def test_the_native_book_is_used_where_it_is_built() -> None:
    assert "(native books)" in version().stdout
    assert "(python books)" in version(HOGA_BOOK="python").stdout
    books.use("native")
    assert isinstance(books.new_book(), NativeBook)  # type: ignore[arg-type]


def test_without_it_the_python_book_serves_and_asking_for_it_is_a_mistake_that_is_named() -> None:
    assert "(python books)" in version(WITHOUT).stdout
    refused = version(WITHOUT, HOGA_BOOK="native")
    assert refused.returncode == 2
    assert "HOGA_BOOK='native': python is there; the native book is built by `make`" in refused.stderr
