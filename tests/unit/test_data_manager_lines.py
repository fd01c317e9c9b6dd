"""The exact text of the data manager: raw lines, book lines and the statistics report."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.domain.errors import FrameError
from hoga.domain.types import Update
from hoga.runtime.data_lines import book_line, book_record, raw_line
from hoga.runtime.statistics import ExchangeCounts, render_statistics
from hoga.wire import pb

TIME_NS = 1_788_265_296_789_999_999
LOCAL = datetime.fromtimestamp(TIME_NS // 10**9, UTC).astimezone()

GUIDE_REPORT = """\
== 오더북 데이터 관리자 통계 ==
총 메시지 수: 1,234,567개
경과 시간: 3600.00초
초당 메시지: 342.94개/초
[binance_future] 원시 메시지: 500,000개, 오더북 메시지: 450,000개, 초당 메시지: 138.89개/초
[binance_spot] 원시 메시지: 600,000개, 오더북 메시지: 550,000개, 초당 메시지: 166.67개/초"""


def line_of(book: object, *, depth: int = 10) -> str:
    return book_line(TIME_NS, book_record("binance_future", "btc", book, depth=depth, time_ns=TIME_NS))


def guide_line(exchange: str, symbol: str, orderbook: dict[str, Any], now: datetime) -> str:
    """The code of the user's guide (§5.6) as it stands there, the clock aside."""
    bids = orderbook.get("bids", [])[:10]
    asks = orderbook.get("asks", [])[:10]
    current_time = now.strftime("%H:%M:%S.%f")[:-3]
    log_data = {
        "exchange": exchange,
        "symbol": symbol,
        "ts": orderbook.get("timestamp", TIME_NS // 1_000_000),
        "seq": orderbook.get("sequence", 0),
        "bids": bids,
        "asks": asks,
    }
    return f"[{current_time}] 매수 ({len(bids)}) / 매도 ({len(asks)}) {json.dumps(log_data)}"


class TestReport:
    def test_the_report_of_the_guide_character_for_character(self) -> None:
        counts = {"binance_future": ExchangeCounts(500_000, 450_000), "binance_spot": ExchangeCounts(600_000, 550_000)}
        assert render_statistics(counts, 3600.0, total=1_234_567) == GUIDE_REPORT

    def test_the_total_is_the_sum_of_raw_messages_of_all_exchanges(self) -> None:
        report = render_statistics({"a": ExchangeCounts(1000, 7), "b": ExchangeCounts(500, 9)}, 2.0)
        assert report.splitlines()[1:4] == ["총 메시지 수: 1,500개", "경과 시간: 2.00초", "초당 메시지: 750.00개/초"]

    def test_nothing_elapsed_and_nobody_registered_is_a_report_too(self) -> None:
        assert render_statistics({}, 0.0).splitlines()[3] == "초당 메시지: 0.00개/초"


class TestBookLine:
    @settings(deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from(["bids", "asks"]),
            st.lists(
                st.lists(st.decimals(0, 10**6, places=3).map(str) | st.floats(0, 1e9) | st.integers(), min_size=2)
            ),
        ),
        st.dictionaries(st.sampled_from(["timestamp", "sequence"]), st.integers()),
        st.text(),
    )
    def test_it_is_what_the_code_in_the_guide_writes(
        self, sides: dict[str, Any], numbers: dict[str, int], symbol: str
    ) -> None:
        book = {**sides, **numbers}
        record = book_record("upbit", symbol, book, depth=10, time_ns=TIME_NS)
        exact = LOCAL.replace(microsecond=TIME_NS // 1000 % 1_000_000)
        assert book_line(TIME_NS, record) == guide_line("upbit", symbol, book, exact)

    def test_only_the_first_levels_are_shown_and_counted(self) -> None:
        line = line_of({"bids": [[str(n), "1"] for n in range(30)], "asks": [["50", "1"]] * 3}, depth=10)
        assert "매수 (10) / 매도 (3) " in line
        assert json.loads(line[line.index("{") :])["bids"][-1] == ["9", "1"]

    def test_text_stays_text_and_numbers_stay_numbers_with_every_digit(self) -> None:
        book = {"bids": [["61500.10", "1.200"]], "asks": [(61500.5, 3), (Decimal("61800.20"), Decimal("0.00000001"))]}
        assert line_of(book).endswith(
            '"bids": [["61500.10", "1.200"]], "asks": [[61500.5, 3], [61800.20, 0.00000001]]}'
        )

    def test_a_published_book_is_shown_with_its_exact_decimals(self) -> None:
        message = pb.OrderBook(
            sequence=42,
            exchange_time_ns=1_700_000_000_123_456_789,
            price_exponent=-2,
            size_exponent=1,
            bid_price=[6150010, 6150000],
            bid_size=[3, 4],
            ask_price=[6150020],
            ask_size=[5],
        )
        expected = line_of(
            {
                "timestamp": 1_700_000_000_123,
                "sequence": 42,
                "bids": [["61500.1", "30"], ["61500", "40"]],
                "asks": [["61500.2", "50"]],
            }
        )
        assert line_of(message) == expected
        assert line_of(message.SerializeToString()) == expected

    def test_the_record_does_not_change_when_the_caller_goes_on_changing_its_book(self) -> None:
        book = {"bids": [["1", "2"]], "asks": [["3", "4"]]}
        record = book_record("upbit", "btc", book, depth=10, time_ns=TIME_NS)
        before = book_line(TIME_NS, record)
        book["bids"][0][1] = "999"
        book["asks"].clear()
        assert book_line(TIME_NS, record) == before

    @pytest.mark.parametrize(
        "book",
        [
            {...},
            None,
            5,
            "book",
            [1, 2],
            b"\xff\xff",
            {"bids": "text"},
            {"bids": 5},
            {"asks": {"1": "2"}},
            pb.OrderBook(bid_price=[1]),
        ],
    )
    def test_what_is_no_book_is_refused_with_what_was_found(self, book: object) -> None:
        with pytest.raises(FrameError) as caught:
            line_of(book)
        assert len(str(caught.value)) < 300

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), object()])
    def test_levels_that_are_no_numbers_are_refused(self, value: object) -> None:
        with pytest.raises(FrameError):
            line_of({"bids": [[value, 1]]})

    def test_missing_sides_are_named(self) -> None:
        assert book_record("upbit", "btc", {}, depth=10, time_ns=TIME_NS).missing == ("bids", "asks")
        assert book_record("upbit", "btc", {"bids": []}, depth=10, time_ns=TIME_NS).missing == ("asks",)


class TestRawLine:
    def test_text_stands_as_it_is_behind_date_and_time(self) -> None:
        line = raw_line(TIME_NS, "depthUpdate raw: {...}")
        assert line == f"[{LOCAL:%Y-%m-%d %H:%M:%S}.789] depthUpdate raw: {{...}}"

    def test_a_parsed_update_has_the_fields_of_the_guide(self) -> None:
        update = Update("BTCUSDT", False, [("61500.10", "1.2")], [], prev_seq=123456788, seq=123456790)
        assert raw_line(TIME_NS, update).partition("] ")[2] == (
            'depthUpdate raw: {"type": "depth_update", "symbol": "btcusdt", "first_update_id": 123456789, '
            '"final_update_id": 123456790, "bids": [["61500.10", "1.2"]], "asks": []}'
        )

    def test_without_ids_the_ids_are_zero(self) -> None:
        update = Update("KRW-BTC", True, [], [])
        assert raw_line(TIME_NS, update).endswith(
            '{"type": "depth_snapshot", "symbol": "krw-btc", "first_update_id": 0, "final_update_id": 0, '
            '"bids": [], "asks": []}'
        )

    def test_mappings_and_frames_follow_the_same_words(self) -> None:
        assert raw_line(TIME_NS, {"type": "depth_update", "bids": []}).endswith(
            '] depthUpdate raw: {"type": "depth_update", "bids": []}'
        )
        assert raw_line(TIME_NS, '{"코드":"KRW-BTC"}'.encode()).endswith('] depthUpdate raw: {"코드":"KRW-BTC"}')

    @settings(deadline=None)
    @given(st.text() | st.binary())
    def test_a_record_is_one_line_and_nobody_can_forge_another(self, message: str | bytes) -> None:
        line = raw_line(TIME_NS, message)
        assert len(line.splitlines()) == 1
        assert re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.789\] ", line)
        assert "\x1b" not in line

    def test_anything_else_is_refused(self) -> None:
        with pytest.raises(FrameError, match="found int 5"):
            raw_line(TIME_NS, 5)  # type: ignore[arg-type]
