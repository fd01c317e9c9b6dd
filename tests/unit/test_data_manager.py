"""The data manager as its user sees it: the guide's example, statistics, callbacks, export, and its manners."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.domain.errors import ConfigError, FrameError
from hoga.domain.types import State
from hoga.runtime import data_manager as module
from hoga.runtime.config import LogSettings
from hoga.runtime.data_export import export_book
from hoga.runtime.data_manager import OrderbookDataManager, get_orderbook_data_manager
from hoga.runtime.statistics import ExchangeCounts
from hoga.wire import pb

WAIT_S = 60.0
BOOK = {"bids": [["61500.10", "1.2"]], "asks": [["61500.2", "0.5"]], "timestamp": 1_788_265_296_789, "sequence": 9}

GUIDE_EXAMPLE = """
from hoga.runtime.data_manager import get_orderbook_data_manager

# 데이터 관리자 가져오기
data_manager = get_orderbook_data_manager()

# 거래소 등록
data_manager.register_exchange("binance_future")

# 원시 메시지 로깅
data_manager.log_raw_message(
    exchange_code="binance_future",
    message="depthUpdate raw: {...}"
)

# 오더북 데이터 로깅
data_manager.log_orderbook_data(
    exchange_code="binance_future",
    symbol="btc",
    orderbook={...}
)

# 통계 출력
data_manager.print_stats()
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., OrderbookDataManager]]:
    made: list[OrderbookDataManager] = []

    def make_manager(**kwargs: Any) -> OrderbookDataManager:
        made.append(OrderbookDataManager(LogSettings(directory=str(tmp_path / "logs"), **kwargs)))
        return made[-1]

    yield make_manager
    for manager in made:
        manager.close()


def run_example(directory: Path, script: str = GUIDE_EXAMPLE, **env: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).resolve().parents[2])
    environment = {"PYTHONPATH": root, "PYTHONUTF8": "1", **env}
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=WAIT_S,
        check=False,
    )


class TestTheGuidesExample:
    def test_it_runs_as_it_stands_and_its_lines_are_written_at_exit(self, tmp_path: Path) -> None:
        done = run_example(tmp_path, DEBUG_MESSAGE_LOGGING="1")
        assert done.returncode == 0
        assert re.fullmatch(
            r"== 오더북 데이터 관리자 통계 ==\n총 메시지 수: 1개\n경과 시간: \d+\.\d\d초\n초당 메시지: \d+\.\d\d개/초\n"
            r"\[binance_future\] 원시 메시지: 1개, 오더북 메시지: 1개, 초당 메시지: \d+\.\d\d개/초\n",
            done.stdout,
        )
        raw = (tmp_path / "logs" / "binance_future_raw.log").read_text("utf-8")
        assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] depthUpdate raw: \{\.\.\.\}\n", raw)
        assert len(done.stderr.splitlines()) == 1
        assert "found set {Ellipsis}" in done.stderr

    def test_without_message_logging_it_only_counts(self, tmp_path: Path) -> None:
        done = run_example(tmp_path, DEBUG_MESSAGE_LOGGING="0", LOG_LEVEL="ERROR")
        assert (done.returncode, done.stderr) == (0, "")
        assert "원시 메시지: 1개" in done.stdout
        assert list(tmp_path.iterdir()) == []

    def test_an_empty_book_is_logged_with_what_it_has(self, tmp_path: Path) -> None:
        done = run_example(tmp_path, GUIDE_EXAMPLE.replace("{...}\n)", "{}\n)"), DEBUG_MESSAGE_LOGGING="1")
        assert done.returncode == 0
        assert "the book lacks bids and asks" in done.stderr
        book = (tmp_path / "logs" / "binance_future_book.log").read_text("utf-8")
        assert re.fullmatch(
            r'\[\d\d:\d\d:\d\d\.\d{3}\] 매수 \(0\) / 매도 \(0\) \{"exchange": "binance_future", "symbol": "btc", '
            r'"ts": \d{13}, "seq": 0, "bids": \[\], "asks": \[\]\}\n',
            book,
        )

    def test_a_place_that_cannot_be_written_is_one_line_and_the_example_goes_on(self, tmp_path: Path) -> None:
        (tmp_path / "logs").write_text("in the way")
        done = run_example(tmp_path, DEBUG_MESSAGE_LOGGING="1")
        assert done.returncode == 0
        assert "원시 메시지: 1개, 오더북 메시지: 1개" in done.stdout
        assert len([line for line in done.stderr.splitlines() if "cannot be written" in line]) == 1

    def test_a_wrong_log_level_is_refused_by_name(self, tmp_path: Path) -> None:
        done = run_example(tmp_path, LOG_LEVEL="LOUD")
        assert done.returncode != 0
        assert "LOG_LEVEL" in done.stderr.splitlines()[-1]
        assert "LOUD" in done.stderr.splitlines()[-1]


class TestLogging:
    def test_each_exchange_has_its_two_files(self, make: Callable[..., OrderbookDataManager], tmp_path: Path) -> None:
        manager = make(debug_messages=True)
        for code in ("upbit", "bithumb"):
            manager.register_exchange(code)
            manager.log_raw_message(code, f"depthUpdate raw: {code}")
            manager.log_orderbook_data(code, "btc", BOOK)
        assert manager.flush(WAIT_S)
        names = ["bithumb_book.log", "bithumb_raw.log", "upbit_book.log", "upbit_raw.log"]
        assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == names
        assert (
            (tmp_path / "logs" / "upbit_book.log")
            .read_text("utf-8")
            .endswith(
                '매수 (1) / 매도 (1) {"exchange": "upbit", "symbol": "btc", "ts": 1788265296789, "seq": 9, '
                '"bids": [["61500.10", "1.2"]], "asks": [["61500.2", "0.5"]]}\n'
            )
        )

    def test_depth_and_rotation_follow_the_settings(
        self, make: Callable[..., OrderbookDataManager], tmp_path: Path
    ) -> None:
        manager = make(debug_messages=True, depth=1, rotate_megabytes=1, keep_files=1)
        manager.log_orderbook_data("upbit", "btc", {"bids": [["2", "1"], ["1", "1"]], "asks": []})
        assert manager.flush(WAIT_S)
        assert "매수 (1) / 매도 (0)" in (tmp_path / "logs" / "upbit_book.log").read_text("utf-8")
        for _ in range(5):
            manager.log_raw_message("upbit", "." * 700_000)
            assert manager.flush(WAIT_S)
        kept = sorted(path.name for path in (tmp_path / "logs").glob("upbit_raw*"))
        assert kept == ["upbit_raw.log", "upbit_raw.log.1"]

    def test_messages_in_protobuf_are_read_by_the_writing_thread(
        self, make: Callable[..., OrderbookDataManager], tmp_path: Path
    ) -> None:
        manager = make(debug_messages=True)
        payload = export_book("upbit", "btc", BOOK)
        manager.log_orderbook_data("upbit", "btc", payload)
        manager.log_orderbook_data("upbit", "btc", b"\xff garbage")
        manager.log_orderbook_data("upbit", "btc", pb.OrderBook.FromString(payload))
        assert manager.flush(WAIT_S)
        lines = [line[15:] for line in (tmp_path / "logs" / "upbit_book.log").read_text("utf-8").splitlines()]
        assert len(lines) == 2
        assert lines[0] == lines[1]
        assert manager.writer.failed == 1

    def test_no_caller_ever_sees_an_error(
        self, make: Callable[..., OrderbookDataManager], caplog: pytest.LogCaptureFixture
    ) -> None:
        manager = make(debug_messages=True)
        manager.log_raw_message("../../etc/passwd", "x")
        manager.log_raw_message(None, "x")  # type: ignore[arg-type]
        manager.log_raw_message(["list"], "x")  # type: ignore[arg-type]
        manager.log_raw_message("upbit", 5)  # type: ignore[arg-type]
        manager.log_orderbook_data("upbit", None, {"bids": 7})  # type: ignore[arg-type]
        manager.log_orderbook_data("upbit", "btc", {"bids": [[object(), 1]]})
        assert manager.flush(WAIT_S)
        manager.close()
        manager.log_raw_message("upbit", "late")
        assert manager.statistics()[0] == {"upbit": ExchangeCounts(2, 2)}
        assert manager.malformed == 5  # the last book also lacks asks
        assert manager.writer.failed == 2
        assert manager.dropped == 1
        kinds = [record.getMessage().split(":")[0].split(" (")[0] for record in caplog.records]
        assert sorted(set(kinds)) == sorted(
            ["malformed message", "upbit was not registered before its first message; it is now", "message logs"]
        )
        assert len(kinds) == 3

    @pytest.mark.parametrize("code", ["", "a b", "a/b", "..", "x" * 65, 7, None])
    def test_what_is_no_exchange_code_is_refused_at_registration(
        self, make: Callable[..., OrderbookDataManager], code: Any
    ) -> None:
        with pytest.raises(ValueError, match="exchange code"):
            make().register_exchange(code)


class TestStatistics:
    def test_messages_of_many_threads_are_all_counted(self, make: Callable[..., OrderbookDataManager]) -> None:
        manager = make()
        manager.register_exchange("upbit")

        def work() -> None:
            for _ in range(2000):
                manager.log_raw_message("upbit", "x")
                manager.log_orderbook_data("upbit", "btc", BOOK)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert manager.statistics()[0] == {"upbit": ExchangeCounts(8000, 8000)}

    def test_the_report_counts_since_the_start(self, tmp_path: Path) -> None:
        clock = iter([1_000_000_000, 3_500_000_000])
        manager = OrderbookDataManager(LogSettings(directory=str(tmp_path)), mono_ns=lambda: next(clock))
        for code in ("binance_spot", "upbit"):
            manager.register_exchange(code)
        for _ in range(5):
            manager.log_raw_message("upbit", "x")
        out = io.StringIO()
        manager.print_stats(out)
        assert out.getvalue() == (
            "== 오더북 데이터 관리자 통계 ==\n총 메시지 수: 5개\n경과 시간: 2.50초\n초당 메시지: 2.00개/초\n"
            "[binance_spot] 원시 메시지: 0개, 오더북 메시지: 0개, 초당 메시지: 0.00개/초\n"
            "[upbit] 원시 메시지: 5개, 오더북 메시지: 0개, 초당 메시지: 2.00개/초\n"
        )


class TestCallbacks:
    def test_every_callback_gets_the_book_and_a_failing_one_harms_nobody(
        self, make: Callable[..., OrderbookDataManager], caplog: pytest.LogCaptureFixture
    ) -> None:
        manager = make()
        seen: list[tuple[str, str, Any]] = []

        def broken(*_: object) -> None:
            raise RuntimeError("out of order")

        def good(code: str, symbol: str, book: Any) -> None:
            seen.append((code, symbol, book))

        manager.register_callback(broken)
        manager.register_callback(good)
        manager.register_callback(good)
        for _ in range(3):
            manager.log_orderbook_data("upbit", "btc", BOOK)
        manager.log_orderbook_data("upbit", "btc", {...})
        assert seen == [("upbit", "btc", BOOK)] * 3
        assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
        assert "out of order" in caplog.text
        assert manager.unregister_callback(good)
        assert not manager.unregister_callback(good)
        manager.log_orderbook_data("upbit", "btc", BOOK)
        assert len(seen) == 3

    def test_a_coroutine_is_refused_because_nobody_would_await_it(
        self, make: Callable[..., OrderbookDataManager]
    ) -> None:
        async def wrong(*_: object) -> None: ...

        with pytest.raises(TypeError, match="plain function"):
            make().register_callback(wrong)  # type: ignore[arg-type]


amounts = st.decimals(min_value="0.00000001", max_value=10**6, places=8)
sides = st.lists(st.tuples(amounts, amounts), max_size=30, unique_by=lambda level: level[0])


class TestExport:
    @settings(deadline=None)
    @given(sides, sides, st.sampled_from([str, Decimal]))
    def test_every_level_arrives_exact_and_best_first(
        self, bids: list[Any], asks: list[Any], kind: Callable[[Any], Any]
    ) -> None:
        book = {"bids": [[kind(p), kind(s)] for p, s in bids], "asks": [[kind(p), kind(s)] for p, s in asks]}
        found = pb.OrderBook.FromString(export_book("upbit", "BTC-KRW", book))
        scale_p, scale_s = Decimal(1).scaleb(found.price_exponent), Decimal(1).scaleb(found.size_exponent)
        assert [(p * scale_p, s * scale_s) for p, s in zip(found.bid_price, found.bid_size, strict=True)] == sorted(
            bids, reverse=True
        )
        assert [(p * scale_p, s * scale_s) for p, s in zip(found.ask_price, found.ask_size, strict=True)] == sorted(
            asks
        )
        assert (found.bids_known, found.asks_known) == (len(bids), len(asks))

    def test_what_the_book_says_of_itself_goes_along_and_nothing_is_claimed(
        self, make: Callable[..., OrderbookDataManager]
    ) -> None:
        manager = make()
        found = pb.OrderBook.FromString(manager.prepare_for_cpp_export("upbit", "btc", BOOK))
        assert (found.exchange, found.symbol, found.sequence) == ("upbit", "btc", 9)
        assert found.exchange_time_ns == 1_788_265_296_789_000_000
        assert found.state == pb.BookState.BOOK_STATE_UNSPECIFIED
        for state in (State.LIVE, 1, "live"):
            stated = pb.OrderBook.FromString(manager.prepare_for_cpp_export("upbit", "btc", {**BOOK, "state": state}))
            assert stated.state == pb.BookState.BOOK_STATE_LIVE

    def test_messages_pass_as_they_are(self) -> None:
        message = pb.OrderBook(symbol="BTC-KRW", bid_price=[1], bid_size=[2])
        assert export_book("upbit", "x", message) == message.SerializeToString()
        assert export_book("upbit", "x", message.SerializeToString()) == message.SerializeToString()

    def test_levels_of_size_zero_are_no_levels(self) -> None:
        found = pb.OrderBook.FromString(export_book("upbit", "x", {"bids": [["1", "0"], [2, 0.5]], "asks": []}))
        assert (list(found.bid_price), list(found.bid_size), found.size_exponent) == ([2], [5], -1)

    @pytest.mark.parametrize(
        "book",
        [
            {...},
            None,
            {"bids": [["x", "1"]]},
            {"bids": [["-1", "1"]]},
            {"bids": [["0", "1"]]},
            {"bids": ["12"]},
            {"bids": 5},
            {"bids": [["1"]]},
            {"bids": [[float("nan"), 1]]},
            {"bids": [["1e20", "1"]]},
            {"bids": [], "sequence": "9"},
            {"bids": [], "state": "FINE"},
            {"bids": [], "state": 77},
        ],
    )
    def test_what_is_no_book_is_refused(self, book: object) -> None:
        with pytest.raises(FrameError):
            export_book("upbit", "x", book)


class TestSingleton:
    def test_there_is_one_and_after_closing_a_fresh_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_singleton", None)
        first = get_orderbook_data_manager(LogSettings(directory=str(tmp_path)))
        assert get_orderbook_data_manager() is first
        first.close()
        second = get_orderbook_data_manager(LogSettings(directory=str(tmp_path)))
        assert second is not first
        second.close()

    def test_wrong_settings_are_the_callers_to_see(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_singleton", None)
        monkeypatch.setenv("DEBUG_MESSAGE_LOGGING", "perhaps")
        with pytest.raises(ConfigError, match="DEBUG_MESSAGE_LOGGING"):
            get_orderbook_data_manager()
