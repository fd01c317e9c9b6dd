"""Whatever runs from here uses the class of book that HOGA_BOOK names: both have to pass."""

from hoga.runtime.book_choice import choose_books

choose_books()
