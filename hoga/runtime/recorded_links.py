"""What happens to the links of a recording, as its connections and frames tell it.

1. a connection that is made again is a new link, and the one before is gone;
2. a link carries a symbol from its first frame of it;
3. where a newer link carries symbols of an older one, and the older one has brought nothing at all since the newer one
   was connected, it is gone: after a while, or with the end of the recording. One that speaks again is back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hoga.domain.links import LinkEvent, LinkEventKind

GONE = "the recorded connection was replaced"
SILENT_NS = 3_000_000_000
News = Iterator[tuple[str, LinkEvent]]
"""(native id, what happened to a link that carries it), in order."""


@dataclass
class _Link:
    name: str
    connected_ns: int
    heard_ns: int = -1
    """When its newest frame came."""
    natives: dict[str, None] = field(default_factory=dict)
    """What it carries."""


class RecordedLinks:
    def __init__(self) -> None:
        self._links: dict[str, _Link] = {}
        """Connection -> its present link."""
        self._made = 0

    def connected(self, conn: str, now_ns: int) -> News:
        """The connection was made."""
        old = self._links.get(conn)
        self._made += 1
        self._links[conn] = _Link(conn if old is None else f"{conn}#{self._made}", now_ns)
        if old is not None:
            yield from self._gone(old)

    def link(self, conn: str, now_ns: int) -> str:
        """The name of the link over which a frame comes."""
        link = self._links.setdefault(conn, _Link(conn, now_ns))
        link.heard_ns = now_ns
        return link.name

    def carries(self, conn: str, native: str) -> News:
        """That frame is of a symbol."""
        link = self._links[conn]
        if native not in link.natives:
            link.natives[native] = None
            yield native, LinkEvent(LinkEventKind.OPENED, link.name)
        if link.heard_ns - link.connected_ns > SILENT_NS:
            yield from self._replaced(link)

    def ended(self) -> News:
        """The recording is at its end."""
        for link in self._links.values():
            yield from self._replaced(link)

    def _replaced(self, by: _Link) -> News:
        for link in self._links.values():
            if link is not by and link.heard_ns < by.connected_ns and link.natives.keys() & by.natives.keys():
                yield from self._gone(link)

    def _gone(self, link: _Link) -> News:
        for native in link.natives:
            yield native, LinkEvent(LinkEventKind.CLOSED, link.name, reason=GONE)
        link.natives.clear()
