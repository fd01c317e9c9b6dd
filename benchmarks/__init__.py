"""Measurements; whatever runs from here uses the class of book that HOGA_BOOK names."""

from hoga.runtime.book_choice import choose_books

choose_books()
