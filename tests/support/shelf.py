"""A shelf of books for tests that do not care of links: each is open from its first frame on."""

from __future__ import annotations

from hoga.domain.builder import BookBuilder
from hoga.domain.links import LinkEvent, LinkEventKind
from hoga.domain.types import Stamp
from hoga.runtime.books import BookShelf


class OpenShelf(BookShelf):
    def frame(self, key: str, native: str, frame: bytes, link: str, stamp: Stamp) -> bool:
        open_link(self.builder(key), link, stamp)
        return super().frame(key, native, frame, link, stamp)


def open_link(builder: BookBuilder, link: str, stamp: Stamp) -> None:
    stream = builder.ledger.arbiter.streams.get(link)
    if stream is None or not stream.open:
        builder.on_link(LinkEvent(LinkEventKind.OPENED, link), stamp)
