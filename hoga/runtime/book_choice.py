"""Which class of book a process uses: `HOGA_BOOK`, native or python; unset, the native one where it is built."""

from __future__ import annotations

import os

from hoga.domain import books


def choose_books() -> None:
    """To be called before the first book is made. ConfigError where there is no such class."""
    books.use(os.environ.get("HOGA_BOOK", ""))
