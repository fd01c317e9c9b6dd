"""Does the link still answer, and how late? Pure: moments of one monotonic clock in, verdicts out.

A connection whose other end is gone stays open and silent, and one that is too slow for its frames delivers them later
and later. An answer waits in line behind the frames that were sent before it, so both show by asking.

1. A question is put soon after connecting, and again whenever nothing at all has arrived for `quiet_s`; on a link that
   answers also every `ask_s`, unless one is open.
2. A sign of life that answers (a pong, or what the exchange routes as ALIVE) while a question is open proves that
   this link answers questions. Any other frame shows that it lives, and proves nothing.
3. On a link that has proven it, a question that stays open for `answer_s` with nothing else arriving is the end.
4. While a write hangs no question can be put: then silence alone counts, for as long as both would have taken.
5. While a question is open on a link that answers, its frames are `behind_s` late at least. Where it stays open for
   `hopeless_s` a fresh connection is the better one.
6. On a link that has never answered, only the exchange's idle timeout counts: not every exchange answers. Where the
   links before it did (`expected`), it is held to an answer from its first moment, as it may fall silent or be slow
   before it has had a chance to give one. It is not ended for being late (its first frames may be many megabytes):
   after `hopeless_s` it is one that does not answer.
"""

from __future__ import annotations


class Probing:
    """The questions of one link. `last_s` is always when the last frame of any sort arrived."""

    def __init__(
        self,
        *,
        quiet_s: float,
        answer_s: float,
        idle_s: float,
        ask_s: float = 2.0,
        hopeless_s: float = 15.0,
        expected: bool = False,
    ) -> None:
        self.proven = False
        self.expected = expected
        """Other links to the same place have answered."""
        self.answer_s = answer_s
        self._quiet_s = quiet_s
        self._idle_s = idle_s
        self._ask_s = ask_s
        self._hopeless_s = hopeless_s
        self._asked_s: float | None = None
        """When the newest open question was put."""
        self._open_s: float | None = None
        """When the oldest open question was put."""
        self._put_s = 0.0
        self._first = True

    @property
    def first(self) -> bool:
        """No question has been put yet."""
        return self._first

    def due_s(self, last_s: float) -> float:
        """When the next question falls due, should nothing arrive until then; infinite while one is open."""
        waits = self._asked_s is not None and self._asked_s >= last_s
        quiet_s = float("inf") if waits else last_s + self._quiet_s
        return min(quiet_s, self._put_s + self._ask_s) if self.proven and self._open_s is None else quiet_s

    def asked(self, now_s: float) -> None:
        self._first = False
        self._asked_s = self._put_s = now_s
        if self._open_s is None:
            self._open_s = now_s

    def answered(self) -> None:
        if self._asked_s is not None:
            self.proven = True
            self._asked_s = self._open_s = None

    def behind_s(self, now_s: float) -> float:
        """How late frames are at least, by the time they are read; 0 where that is not known."""
        answers = self.proven or self.expected
        return now_s - self._open_s if answers and self._open_s is not None else 0.0

    def verdict(self, now_s: float, last_s: float, writing_s: float | None) -> str:
        """Why the link is dead, "" while it is not. `writing_s`: since when a write is under way, if one is."""
        if now_s - last_s > self._idle_s:
            return f"nothing arrived for {self._idle_s:g} s"
        if not (self.proven or self.expected):
            return ""
        if self._asked_s is not None and self._asked_s >= last_s and now_s - self._asked_s > self.answer_s:
            return f"a question was not answered for {self.answer_s:g} s, and nothing else arrived"
        if self.behind_s(now_s) > self._hopeless_s:
            if not self.proven:
                self.expected = False
                return ""
            return f"a question was not answered for {self._hopeless_s:g} s, so what arrives is as old"
        if writing_s is not None and now_s - max(writing_s, last_s) > self._quiet_s + self.answer_s:
            return f"a write hung for {now_s - writing_s:.1f} s, and nothing arrived"
        return ""
