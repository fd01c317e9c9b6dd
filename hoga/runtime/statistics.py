"""The statistics report: pure, of counts from wherever they come.

    == 오더북 데이터 관리자 통계 ==
    총 메시지 수: 1,234,567개
    경과 시간: 3600.00초
    초당 메시지: 342.94개/초
    [binance_future] 원시 메시지: 500,000개, 오더북 메시지: 450,000개, 초당 메시지: 138.89개/초

1. The total and every rate count raw messages: a book is made of them and is no message of its own.
2. Counts carry thousands separators; seconds and rates have two decimals.
3. Exchanges stand in the order given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TITLE = "== 오더북 데이터 관리자 통계 =="


@dataclass(frozen=True, slots=True)
class ExchangeCounts:
    """Messages of one exchange since the start of the counting: frames as received, and books made of them."""

    raw: int = 0
    book: int = 0


def render_statistics(counts: Mapping[str, ExchangeCounts], elapsed_s: float, *, total: int | None = None) -> str:
    """The report, without a newline at its end.

    `counts` by exchange code; `total` raw messages where more were counted than those of `counts` (default:
    their sum). No time elapsed gives rates of 0.00.
    """
    messages = sum(count.raw for count in counts.values()) if total is None else total
    lines = [
        TITLE,
        f"총 메시지 수: {messages:,}개",
        f"경과 시간: {elapsed_s:.2f}초",
        f"초당 메시지: {_rate(messages, elapsed_s):.2f}개/초",
    ]
    lines += [
        f"[{code}] 원시 메시지: {count.raw:,}개, 오더북 메시지: {count.book:,}개, "
        f"초당 메시지: {_rate(count.raw, elapsed_s):.2f}개/초"
        for code, count in counts.items()
    ]
    return "\n".join(lines)


def _rate(messages: int, elapsed_s: float) -> float:
    return messages / elapsed_s if elapsed_s > 0 else 0.0
