"""The writing thread and its files: nothing waits, nothing is torn, every loss is counted."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoga.runtime.line_writer import LineWriter
from hoga.runtime.rotating_file import RotatingFile

WAIT_S = 30.0


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [f"line {number:06d}\n".encode() for number in range(start, start + count)]


def writer_in(directory: Path, **limits: int) -> LineWriter:
    return LineWriter(directory, max_file_bytes=1 << 20, keep=3, **limits)


class TestRotatingFile:
    def test_the_newest_lines_are_kept_whole_and_in_order(self, tmp_path: Path) -> None:
        file = RotatingFile(tmp_path / "deep" / "x.log", max_bytes=100, keep=2)
        for start in range(0, 60, 7):
            assert file.append(numbered(7, start)) == 7
        file.close()
        assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["x.log", "x.log.1", "x.log.2"]
        kept = b"".join((tmp_path / "deep" / name).read_bytes() for name in ("x.log.2", "x.log.1", "x.log"))
        assert kept == b"".join(numbered(63))[-len(kept) :]
        assert all((tmp_path / "deep" / name).stat().st_size <= 100 for name in ("x.log.2", "x.log.1", "x.log"))

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.lists(st.integers(1, 60), max_size=8), max_size=5), st.integers(1, 120))
    def test_however_lines_and_batches_fall_none_is_split_or_lost(self, batches: list[list[int]], limit: int) -> None:
        with tempfile.TemporaryDirectory() as directory:
            file = RotatingFile(Path(directory) / "x.log", max_bytes=limit, keep=40)
            lines = [[b"." * size + b"\n" for size in sizes] for sizes in batches]
            for batch in lines:
                file.append(batch)
            file.close()
            pieces = sorted(Path(directory).glob("x.log.*"), key=lambda path: -int(path.suffix[1:]))
            pieces += [path for path in [Path(directory) / "x.log"] if path.exists()]
            found = [line for path in pieces for line in path.read_bytes().splitlines(keepends=True)]
            assert found == [line for batch in lines for line in batch]
            assert all(path.stat().st_size <= limit or len(path.read_bytes().splitlines()) == 1 for path in pieces)

    def test_it_goes_on_where_an_earlier_run_stopped(self, tmp_path: Path) -> None:
        for start in (0, 3):
            file = RotatingFile(tmp_path / "x.log", max_bytes=1000, keep=2)
            file.append(numbered(3, start))
            file.close()
        assert (tmp_path / "x.log").read_bytes() == b"".join(numbered(6))

    def test_a_file_moved_away_is_noticed(self, tmp_path: Path) -> None:
        file = RotatingFile(tmp_path / "x.log", max_bytes=1000, keep=2)
        file.append(numbered(1))
        (tmp_path / "x.log").rename(tmp_path / "taken.log")
        file.append(numbered(1, 1))
        file.close()
        assert (tmp_path / "taken.log").read_bytes() == b"".join(numbered(1))
        assert (tmp_path / "x.log").read_bytes() == b"".join(numbered(1, 1))

    def test_a_disk_that_takes_half_a_line_keeps_none_of_it(self, tmp_path: Path) -> None:
        """A file size limit of the system: the write is cut short in the middle of a line, then refused."""
        script = f"""
import resource
from pathlib import Path
from hoga.runtime.rotating_file import RotatingFile
resource.setrlimit(resource.RLIMIT_FSIZE, (105, 105))
file = RotatingFile(Path({str(tmp_path / "x.log")!r}), max_bytes=1000, keep=2)
file.append([b"first\\n"])
try:
    file.append([b"." * 9 + b"\\n"] * 30)
except OSError as error:
    print(error.errno, error.lines_written)
file.append([b"after\\n"])
"""
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=WAIT_S, check=True
        )
        assert done.stdout == "27 0\n"
        assert (tmp_path / "x.log").read_bytes() == b"first\nafter\n"


class TestLineWriter:
    def test_lines_of_many_threads_all_arrive_each_thread_s_in_order(self, tmp_path: Path) -> None:
        writer = writer_in(tmp_path)

        def speak(name: str) -> None:
            for number in range(500):
                assert writer.put(f"{name}.log", lambda number=number: f"{name} {number}", 10)  # type: ignore[misc]

        threads = [threading.Thread(target=speak, args=(name,)) for name in ("a", "b", "c")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert writer.flush(WAIT_S)
        assert writer.waiting == 0
        assert writer.written == 1500
        for name in ("a", "b", "c"):
            assert (tmp_path / f"{name}.log").read_text() == "".join(f"{name} {number}\n" for number in range(500))
        assert writer.close(WAIT_S)

    @pytest.mark.parametrize("limits", [{"max_lines": 5}, {"max_bytes": 50}])
    def test_a_full_queue_drops_and_counts_and_never_waits(
        self, tmp_path: Path, limits: dict[str, int], caplog: pytest.LogCaptureFixture
    ) -> None:
        writer = writer_in(tmp_path, **limits)
        stuck, release = threading.Event(), threading.Event()

        def hold() -> str:
            stuck.set()
            release.wait(WAIT_S)
            return "held"

        assert writer.put("x.log", hold, 10)
        assert stuck.wait(WAIT_S)
        taken = [writer.put("x.log", str, 10) for _ in range(10)]
        assert taken == [True] * 4 + [False] * 6
        assert writer.dropped == 6
        with caplog.at_level(logging.WARNING):
            release.set()
            assert writer.flush(WAIT_S)
            assert writer.put("x.log", lambda: "after", 10)
            assert writer.close(WAIT_S)
        assert (tmp_path / "x.log").read_text() == "held\n" + "\n" * 4 + "after\n"
        assert [record.getMessage() for record in caplog.records] == [
            "message logs: 6 lines dropped so far, the queue was full"
        ]

    def test_a_line_that_cannot_be_made_costs_only_itself(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        writer = writer_in(tmp_path)
        for make in (lambda: "one", lambda: 1 / 0, lambda: 1 / 0, lambda: "two \ud800"):
            writer.put("x.log", make, 1)  # type: ignore[arg-type]
        assert writer.close(WAIT_S)
        assert (tmp_path / "x.log").read_text() == "one\ntwo ?\n"
        assert writer.failed == 2
        assert len(caplog.records) == 1
        assert "division by zero" in caplog.text

    def test_a_disk_in_trouble_is_said_once_and_the_end_of_it_too(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        obstacle = tmp_path / "logs"
        obstacle.write_text("a file where the folder should be")
        writer = writer_in(obstacle)
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                writer.put("x.log", lambda: "lost", 1)
                assert writer.flush(WAIT_S)
            obstacle.unlink()
            for _ in range(2):
                writer.put("x.log", lambda: "kept", 1)
                assert writer.flush(WAIT_S)
            assert writer.close(WAIT_S)
        assert (obstacle / "x.log").read_text() == "kept\nkept\n"
        assert (writer.lost, writer.written) == (3, 2)
        assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
        assert "cannot be written" in caplog.messages[0]
        assert caplog.messages[1].endswith("is written again; 3 lines were lost")

    def test_what_is_closed_takes_nothing_more_and_raises_nothing(self, tmp_path: Path) -> None:
        writer = writer_in(tmp_path)
        assert writer.close()
        assert not writer.put("x.log", lambda: "late", 1)
        assert writer.dropped == 1
        assert list(tmp_path.iterdir()) == []
