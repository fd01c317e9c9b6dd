"""How the commands look: state colours, and numbers, ages and sizes written for people."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from hoga.domain.types import State

STATE_STYLES: dict[State, str] = {
    State.LIVE: "bold green",
    State.SYNCING: "cyan",
    State.GAPPED: "bold yellow",
    State.STALE: "bold red",
    State.CROSSED: "bold white on red",
    State.HALTED: "dim",
}
ASK_STYLE = "blue"
BID_STYLE = "red"
"""As on Korean exchanges: red buys (매수), blue sells (매도)."""

_ROUNDING = Context(prec=80, rounding=ROUND_HALF_EVEN)
_SECOND = 1_000_000_000


def decimals_of(value: Decimal) -> int:
    """Digits behind the point that `value` needs; trailing zeros are not needed."""
    exponent = value.normalize(_ROUNDING).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def number(value: Decimal, decimals: int) -> str:
    """With thousands separators and exactly so many decimals; rounded where it has more."""
    return f"{value.quantize(Decimal(1).scaleb(-decimals), context=_ROUNDING):,f}"


def duration(ns: int) -> str:
    """A few characters: `0.4 ms`, `23 ms`, `4.1 s`, `3 m 07 s`, `2 h 05 m`, `3 d 04 h`; a minus where negative."""
    if ns < 0:
        return "-" + duration(-ns)
    seconds = ns / _SECOND
    if seconds < 0.01:
        return f"{ns / 1_000_000:.1f} ms"
    if seconds < 1:
        return f"{ns / 1_000_000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    if hours < 48:
        return f"{hours} h {minutes_left:02d} m"
    return f"{hours // 24} d {hours % 24:02d} h"


def uptime(ns: int) -> str:
    """`00:03:12`; days in front where there are any."""
    days, seconds = divmod(max(0, ns) // _SECOND, 86_400)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{days}d {clock}" if days else clock


def rate(per_second: float) -> str:
    """Events a second: `0`, `0.3`, `18`, `1,234`."""
    if per_second <= 0:
        return "0"
    return f"{per_second:.1f}" if per_second < 9.95 else f"{per_second:,.0f}"


def amount(size: float) -> str:
    """Bytes: `712 B`, `48 kB`, `62 MB`, `1.4 GB`."""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def clock(ns: int) -> str:
    """UTC time of day with milliseconds."""
    seconds, rest = divmod(ns, _SECOND)
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest // 1_000_000:03d}"
