"""Tests of books run with each class of book there is; without a compiler the native ones are skipped, saying so."""

from __future__ import annotations

import pytest

from hoga.domain.book import PythonBook
from hoga.domain.books import CLASSES

NativeBook = CLASSES.get("native")
needs_native = pytest.mark.skipif(NativeBook is None, reason="the native book is not built (no compiler when made)")
each_book = pytest.mark.parametrize(
    "new_book", [pytest.param(PythonBook, id="python"), pytest.param(NativeBook, id="native", marks=needs_native)]
)
