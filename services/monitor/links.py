"""One link slot: what ingest last reported of it, what we saw ourselves, and the rules that compare the two.

Rules (time is our own monotonic clock, so a wrong wall clock anywhere changes nothing):
1. A link reports every second. No report for `silent_after` means that nobody knows its state: SILENT.
2. A CONNECTED link with symbols must read frames. When its counter stands still and the age it reports
   grows, both beyond the exchange's idle timeout plus `mismatch_after`, its own watchdog has failed: reconnect.
3. A link that stays alive by heartbeats alone while books that used to move all stand still has lost its
   subscriptions without a word: reconnect. How long "still" is, is measured: fifty of its usual pauses.
4. A link that is not CONNECTED is a problem at once, and a serious one after `DOWN_AFTER`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hoga.wire import pb

from .problems import Problem, Severity, seconds

SECOND = 1_000_000_000
DOWN_AFTER_NS = 10 * SECOND
QUIET_AT_LEAST_NS = 60 * SECOND
QUIET_PAUSES = 50
QUIET_PROOF = 100
"""So many book messages must have been seen on a link before its silence means anything."""
FLAPS = 3
FLAP_WINDOW_NS = 120 * SECOND
FORGET_CLOSED_NS = 60 * SECOND

STATE_NAMES = {
    pb.LinkState.LINK_STATE_CONNECTING: "CONNECTING",
    pb.LinkState.LINK_STATE_CONNECTED: "CONNECTED",
    pb.LinkState.LINK_STATE_BACKOFF: "BACKOFF",
    pb.LinkState.LINK_STATE_CLOSED: "CLOSED",
}
SILENT = "SILENT"
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait before a difference counts; nanoseconds."""

    mismatch_ns: int = 5 * SECOND
    silent_ns: int = 3 * SECOND


@dataclass(slots=True)
class Link:
    """The record of one slot; `observe` takes reports, `problem` judges."""

    exchange: str
    slot: str
    idle_ns: int
    """The exchange's idle timeout."""
    status: pb.LinkStatus = field(default_factory=pb.LinkStatus)
    seen_ns: int = 0
    """When the last report arrived."""
    state_since_ns: int = 0
    grew_ns: int = 0
    """When the frame counter last moved."""
    rate: float = 0.0
    """Frames a second, smoothed."""
    _rate_from: tuple[int, int] = (0, 0)
    _connected_ns: int = 0
    _moves: int = 0
    _moved_ns: int = 0
    _flaps: list[int] = field(default_factory=list)

    def observe(self, status: pb.LinkStatus, mono_ns: int) -> None:
        """Takes a report of ingest."""
        before, first = self.status, self.seen_ns == 0
        if first or status.link != before.link or status.instance != before.instance:
            self._fresh_connection(status, mono_ns)
        elif status.frames != before.frames:
            self.grew_ns = mono_ns
        if first or status.state != before.state:
            self.state_since_ns = mono_ns
            if status.state == pb.LinkState.LINK_STATE_CONNECTED:
                self.grew_ns = max(self.grew_ns, mono_ns)
        if not first and status.instance == before.instance and status.reconnects > before.reconnects:
            self._flaps.append(mono_ns)
        self._flaps = [at for at in self._flaps if mono_ns - at < FLAP_WINDOW_NS][-FLAPS:]
        self._measure(status, mono_ns)
        self.status = status
        self.seen_ns = mono_ns

    def books_moved(self, messages: int, mono_ns: int) -> None:
        """So many book messages of this link's symbols were seen on the bus since the last call."""
        if messages > 0:
            self._moves += messages
            self._moved_ns = mono_ns

    def forgive(self, pause_ns: int, mono_ns: int) -> None:
        """We ourselves were away for so long, until now: what seemed to stand still meanwhile does not count."""
        self.seen_ns = min(self.seen_ns + pause_ns, mono_ns)
        self.grew_ns = min(self.grew_ns + pause_ns, mono_ns)
        self._moved_ns = min(self._moved_ns + pause_ns, mono_ns)

    def state(self, mono_ns: int, patience: Patience) -> str:
        if mono_ns - self.seen_ns > patience.silent_ns:
            return SILENT
        return STATE_NAMES.get(self.status.state, UNKNOWN)

    def connected(self, mono_ns: int, patience: Patience) -> bool:
        return self.state(mono_ns, patience) == "CONNECTED"

    def forgotten(self, mono_ns: int) -> bool:
        """Closed on purpose and silent since: it needs no row any more."""
        closed = self.status.state == pb.LinkState.LINK_STATE_CLOSED
        return closed and mono_ns - self.seen_ns > FORGET_CLOSED_NS

    def frame_age_ns(self, mono_ns: int) -> int:
        """Age of the last frame: as reported, plus the age of the report; -1 before the first."""
        reported = self.status.last_frame_age_ns
        return -1 if reported < 0 else reported + max(0, mono_ns - self.seen_ns)

    def shown_age_ns(self, mono_ns: int, patience: Patience) -> int:
        """The same for eyes: as reported while reports come, because a busy link did not age since the last one."""
        silent = self.state(mono_ns, patience) == SILENT
        return self.frame_age_ns(mono_ns) if silent else self.status.last_frame_age_ns

    def problem(self, mono_ns: int, patience: Patience) -> Problem | None:
        """What is wrong without ingest and us disagreeing (rules 1 and 4)."""
        state = self.state(mono_ns, patience)
        if state == SILENT:
            age = seconds(mono_ns - self.seen_ns)
            return self._problem(
                "silent", Severity.CRITICAL, f"no report for {age}; its state is unknown", self.seen_ns
            )
        if state == "CLOSED":
            return None
        if state != "CONNECTED":
            long = mono_ns - self.state_since_ns > DOWN_AFTER_NS
            text = f"{state.lower()}: {self.status.reason or 'no reason given'}"
            return self._problem("down", Severity.CRITICAL if long else Severity.WARNING, text, self.state_since_ns)
        if len(self._flaps) >= FLAPS:
            text = f"reconnected {FLAPS} times or more within {seconds(FLAP_WINDOW_NS)}"
            return self._problem("flapping", Severity.WARNING, text)
        return None

    def disagreement(self, mono_ns: int, patience: Patience) -> Problem | None:
        """Where the report cannot be true and a fresh connection would help (rules 2 and 3)."""
        if not self.connected(mono_ns, patience) or not self.status.symbols:
            return None
        still = self._still_ns(mono_ns)
        if still > self.idle_ns + patience.mismatch_ns:
            text = f"says connected, but has read no frame for {seconds(still)}"
            return self._problem("frozen", Severity.CRITICAL, text)
        quiet = self._quiet_ns(mono_ns)
        if quiet:
            text = f"says connected, but none of its {len(self.status.symbols)} books moved for {seconds(quiet)}"
            return self._problem("quiet", Severity.WARNING, text)
        return None

    def _still_ns(self, mono_ns: int) -> int:
        """For how long both the counter and the reported age agree that nothing was read."""
        counted = mono_ns - self.grew_ns
        reported = self.frame_age_ns(mono_ns)
        return counted if reported < 0 else min(counted, reported)

    def _quiet_ns(self, mono_ns: int) -> int:
        if self._moves < QUIET_PROOF:
            return 0
        usual_pause = (self._moved_ns - self._connected_ns) // self._moves
        quiet = mono_ns - self._moved_ns
        return quiet if quiet > max(QUIET_AT_LEAST_NS, QUIET_PAUSES * usual_pause) else 0

    def _fresh_connection(self, status: pb.LinkStatus, mono_ns: int) -> None:
        self.grew_ns = self._connected_ns = self._moved_ns = mono_ns
        self._moves = 0
        self._rate_from = (mono_ns, status.frames)

    def _measure(self, status: pb.LinkStatus, mono_ns: int) -> None:
        since, frames = self._rate_from
        elapsed = mono_ns - since
        if elapsed < SECOND // 2:
            return
        rate = max(0, status.frames - frames) * SECOND / elapsed
        self.rate = rate if self.rate == 0 else 0.6 * self.rate + 0.4 * rate
        self._rate_from = (mono_ns, status.frames)

    def _problem(self, kind: str, severity: Severity, text: str, began_ns: int = 0) -> Problem:
        key = f"link.{kind}.{self.exchange}.{self.slot}"
        return Problem(key, severity, f"{self.exchange} · {self.slot}", text, began_ns)
