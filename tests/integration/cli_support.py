"""A publisher of books as a consumer sees it, and `hoga` as a user runs it: in a pipe or in a terminal of 80x24."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from hoga.runtime.nats_bus import NatsBus
from hoga.wire import pb, subjects

ROOT = Path(__file__).resolve().parents[2]
HOGA = (sys.executable, "-m", "hoga.cli.main")
PATIENCE_S = 60.0
EPOCH = 12


class Publisher:
    """A validator as far as a consumer can tell: kept books, and a sign of life ten times a second."""

    def __init__(self, bus: NatsBus, epoch: int = EPOCH) -> None:
        self.bus = bus
        self.epoch = epoch
        self.revision = 0
        self.alive = asyncio.create_task(self._live())

    async def ensure_streams(self) -> None:
        await self.bus.ensure_stream(subjects.BOOKS_STREAM, [subjects.book("*")], max_bytes=1 << 20)

    def book(self, symbol: str = "BTC-USDT", *, skip: int = 0) -> int:
        """Publishes the next revision, after `skip` that nobody will see."""
        self.revision += 1 + skip
        book = pb.OrderBook(
            exchange="binance_spot",
            symbol=symbol,
            native_symbol=symbol.replace("-", ""),
            state=pb.BookState.BOOK_STATE_LIVE,
            verified=True,
            epoch=self.epoch,
            revision=self.revision,
            sequence=1000 + self.revision,
            publish_time_ns=time.time_ns(),
            price_exponent=-2,
            bid_price=[6150010],
            bid_size=[3],
            ask_price=[6150020],
            ask_size=[4],
            bids_known=1,
            asks_known=1,
        )
        assert self.bus.publish(subjects.book("binance_spot", symbol), book.SerializeToString())
        return self.revision

    async def stop(self) -> None:
        self.alive.cancel()
        await self.bus.close()

    async def _live(self) -> None:
        health = pb.Health(service="validator", instance="a1", epoch=self.epoch, healthy=True)
        while True:
            self.bus.publish(subjects.health("validator", "a1"), health.SerializeToString())
            await asyncio.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str


def environment(**extra: str) -> dict[str, str]:
    """Ours, without the settings of whoever runs the tests."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HOGA_")}
    return {**clean, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "80", **extra}


async def hoga(*arguments: str, cwd: Path | None = None, **extra: str) -> Outcome:
    """Runs a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *HOGA,
        *arguments,
        cwd=cwd,
        env=environment(**extra),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())


class Terminal:
    """`hoga` in a pseudo-terminal; what it wrote is in `text`."""

    def __init__(self, *arguments: str, rows: int = 24, columns: int = 80) -> None:
        self._arguments = arguments
        self._size = struct.pack("HHHH", rows, columns, 0, 0)
        self.text = ""
        self._news = asyncio.Event()
        self._ended = False

    async def __aenter__(self) -> Terminal:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, self._size)
        self._slave = slave
        self.before = termios.tcgetattr(slave)
        env = environment()
        del env["COLUMNS"]
        self.process = await asyncio.create_subprocess_exec(
            *HOGA,
            *self._arguments,
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)

    @property
    def settings(self) -> list[object]:
        """The terminal's modes as they are now."""
        return termios.tcgetattr(self._slave)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    async def until(self, words: str) -> None:
        """Returns when `words` have been written since the last call."""
        async with asyncio.timeout(PATIENCE_S):
            while words not in self.text:
                self._news.clear()
                await self._news.wait()
        self.text = self.text.partition(words)[2]

    async def end(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE_S)

    def _read(self) -> None:
        try:
            self.text += os.read(self._master, 1 << 16).decode("utf-8", "replace")
        except OSError:
            asyncio.get_running_loop().remove_reader(self._master)
        self._news.set()
