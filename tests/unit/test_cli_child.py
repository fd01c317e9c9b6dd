"""Processes are listened to, started again, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from hoga.cli import child as child_module
from hoga.cli.child import Child, ChildSpec, Death, Line
from hoga.cli.supervisor import Supervisor
from hoga.domain.backoff import Backoff
from hoga.domain.errors import HogaError

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0


class Ear:
    """Hears lines and deaths, and can be waited on."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[Line] = asyncio.Queue()
        self.deaths: asyncio.Queue[Death] = asyncio.Queue()

    def on_line(self, _name: str, line: Line) -> None:
        self.lines.put_nowait(line)

    async def line(self) -> str:
        return (await asyncio.wait_for(self.lines.get(), PATIENCE_S)).text

    async def death(self) -> Death:
        return await asyncio.wait_for(self.deaths.get(), PATIENCE_S)


def python(code: str, name: str = "it", **options: bool) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-u", "-c", code), **options)


def child(spec: ChildSpec, ear: Ear, folder: Path) -> Child:
    return Child(spec, folder / f"{spec.name}.log", on_line=ear.on_line, on_death=ear.deaths.put_nowait)


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_every_line_is_heard_and_logged(tmp_path: Path) -> None:
    ear = Ear()
    code = "import sys; print('one'); print('two', file=sys.stderr); print('x' * 20000); import time; time.sleep(600)"
    it = child(python(code), ear, tmp_path)
    await it.start()
    assert [await ear.line() for _ in range(2)] == ["one", "two"]
    assert "x" in await ear.line()
    assert await it.stop(PATIENCE_S)
    log = (tmp_path / "it.log").read_bytes()
    assert log.startswith(b"one\ntwo\n")
    assert log.count(b"x") == 20000


async def test_what_dies_is_started_again_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "RESTART", Backoff(0.01, 30.0))
    ear = Ear()
    it = child(python("raise SystemExit('the reason')"), ear, tmp_path)
    await it.start()
    deaths = [await ear.death() for _ in range(3)]
    await it.stop(PATIENCE_S)
    assert {(death.code, death.last_line) for death in deaths} == {(1, "the reason")}
    delays = [death.again_in_s for death in deaths]
    assert delays == [0.01, 0.02, 0.04]
    assert it.starts >= 3


async def test_wrong_settings_are_not_tried_again(tmp_path: Path) -> None:
    ear = Ear()
    it = child(python("import sys; sys.exit(2)"), ear, tmp_path)
    await it.start()
    assert (await ear.death()).again_in_s is None
    await it.stop(PATIENCE_S)
    assert (it.starts, it.given_up) == (1, True)


async def test_who_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    ear = Ear()
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    it = child(python(code), ear, tmp_path)
    await it.start()
    assert await ear.line() == "deaf"
    pid = it.pid
    assert pid is not None
    assert not await it.stop(0.1)
    assert not runs(pid)
    assert ear.deaths.empty()


async def test_stopping_while_it_waits_to_start_again_is_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "RESTART", Backoff(600.0, 600.0))
    ear = Ear()
    it = child(python("raise SystemExit(3)"), ear, tmp_path)
    await it.start()
    await ear.death()
    assert await asyncio.wait_for(it.stop(PATIENCE_S), PATIENCE_S)
    assert it.starts == 1


async def test_a_log_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path: Path) -> None:
    ear = Ear()
    (tmp_path / "it.log").mkdir()
    code = "import time; [(print(n), time.sleep(0.3)) for n in range(3)]; time.sleep(600)"
    it = child(python(code), ear, tmp_path)
    await it.start()
    heard = [await ear.line() for _ in range(4)]
    await it.stop(PATIENCE_S)
    assert heard[0].startswith("cannot write its log file: Is a directory")
    assert heard[1:] == ["0", "1", "2"]


# Together.


async def test_the_first_is_ready_before_the_next_starts_and_stops_last(tmp_path: Path) -> None:
    ear = Ear()
    mark = tmp_path / "ready"
    first = python(f"import time, pathlib; pathlib.Path({str(mark)!r}).touch(); time.sleep(600)", "first", first=True)
    second = python(f"import os, time; print(os.path.exists({str(mark)!r})); time.sleep(600)", "second")
    supervisor = Supervisor([first, second], tmp_path, on_line=ear.on_line, on_death=ear.deaths.put_nowait)

    async def is_ready() -> bool:
        return mark.exists()

    await supervisor.start({"first": is_ready})
    assert await ear.line() == "True"
    pids = [one.pid for one in supervisor.children]
    assert await supervisor.stop() == []
    assert not any(runs(pid) for pid in pids if pid is not None)


async def test_what_can_never_be_ready_is_one_clear_error(tmp_path: Path) -> None:
    ear = Ear()
    first = python("import sys; sys.exit(2)", "first", first=True)
    supervisor = Supervisor([first], tmp_path, on_line=ear.on_line, on_death=ear.deaths.put_nowait)

    async def never() -> bool:
        return False

    with pytest.raises(HogaError, match="first cannot start with these settings"):
        await supervisor.start({"first": never})
    assert supervisor.failed.is_set()
    assert supervisor.gave_up("first")
    await supervisor.stop()


async def test_a_program_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    ear = Ear()
    spec = ChildSpec("ghost", (str(tmp_path / "nothing"),))
    supervisor = Supervisor([spec], tmp_path, on_line=ear.on_line, on_death=ear.deaths.put_nowait)
    with pytest.raises(HogaError, match="cannot start ghost: No such file"):
        await supervisor.start({})
    await supervisor.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child to its parent's life")
async def test_no_child_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import asyncio, pathlib, sys
from hoga.cli.child import Child, ChildSpec
async def main():
    spec = ChildSpec("it", (sys.executable, "-c", "import time; time.sleep(600)"))
    it = Child(spec, pathlib.Path({str(tmp_path / "it.log")!r}), on_line=print, on_death=print)
    await it.start()
    print(it.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), PATIENCE_S))
    assert runs(pid)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    async with asyncio.timeout(PATIENCE_S):
        while runs(pid):
            await asyncio.sleep(0.01)
