"""`hoga` as a user runs it, against a real nats-server: what it prints, how it ends, what it says when it cannot."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hoga.runtime.config import NatsSettings
from hoga.runtime.nats_bus import connect_nats
from hoga.testing.nats_server import NatsServer
from hoga.wire import pb, subjects
from tests.integration.cli_support import HOGA, PATIENCE_S, Publisher, Terminal, environment, hoga


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


@pytest.fixture
async def publisher(server: NatsServer) -> AsyncIterator[Publisher]:
    publisher = Publisher(await connect_nats(NatsSettings(url=server.url), name="publisher"))
    await publisher.ensure_streams()
    yield publisher
    await publisher.stop()


def one_line(text: str) -> str:
    """The only line of `text`."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]


# Without a bus.


async def test_help_lists_the_commands_that_work_and_no_others() -> None:
    outcome = await hoga("--help")
    assert outcome.code == 0
    for command in ("up", "exchanges", "book", "watch", "top", "replay", "service"):
        assert f"\n    {command} " in outcome.out
    for later in ("record", "export", "bench"):
        assert f"\n    {later} " not in outcome.out


async def test_exchanges_are_listed_for_people_and_programs() -> None:
    people, programs = await asyncio.gather(hoga("exchanges"), hoga("exchanges", "--json"))
    assert (people.code, programs.code) == (0, 0)
    codes = [exchange["code"] for exchange in json.loads(programs.out)]
    assert codes[:4] == ["binance_future", "binance_spot", "upbit", "bithumb"]
    assert all(code in people.out for code in codes)
    assert "바이낸스 선물" in people.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("book", "upbitt", "BTC-KRW"), "unknown exchange 'upbitt' (did you mean 'upbit'?)"),
        (("watch", "nowhere", "BTC-KRW"), "unknown exchange 'nowhere'"),
        (("up", "--exchange", "upbit", "binanse_spot"), "did you mean 'binance_spot'?"),
        (("up", "--port", "70000"), "'70000' is not a port from 0 to 65535"),
        (("book", "upbit"), "required: SYMBOL"),
        (("book", "upbit", "BTC-KRW", "--depth", "-1"), "--depth"),
        (("--nats", "tcp//x", "top"), "--nats = tcp//x: allowed is an address such as nats://127.0.0.1:4222"),
        (("--config", "/nowhere.toml", "top"), "cannot read the settings file /nowhere.toml"),
        (("service", "validatr"), "unknown service 'validatr'; known:"),
        (("replay", "/nowhere.jsonl.gz"), "/nowhere.jsonl.gz"),
        (("wach",), "invalid choice: 'wach'"),
        ((), "required: COMMAND"),
        (("--nats", "nats://127.0.0.1:1", "book", "upbit", "BTC-KRW"), "cannot reach NATS at nats://127.0.0.1:1: is"),
        (("--nats", "nats://me:secret@127.0.0.1:1", "top"), "cannot reach NATS at nats://127.0.0.1:1: is `hoga up`"),
        (("top", "--nats", "nats://127.0.0.1:1"), "or docker compose running?"),
    ],
)
async def test_every_mistake_is_one_line_and_exit_code_2(arguments: tuple[str, ...], words: str) -> None:
    outcome = await hoga(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert words in one_line(outcome.err)
    assert "secret" not in outcome.err


async def test_a_wrong_setting_in_the_environment_is_one_line() -> None:
    outcome = await hoga("top", HOGA_VALIDATOR_DEPTH="9999")
    assert outcome.code == 2
    assert "HOGA_VALIDATOR_DEPTH = 9999" in one_line(outcome.err)


async def test_a_service_is_run_in_place() -> None:
    outcome = await hoga("service", "ingest", "--exchange", "nowhere")
    assert outcome.code == 2
    assert "unknown exchange 'nowhere'" in outcome.err
    assert "--exchange CODE" in (await hoga("service", "ingest", "--help")).out


# With books.


async def test_a_book_is_printed_for_people_and_programs(server: NatsServer, publisher: Publisher) -> None:
    publisher.book()
    people, programs = await asyncio.gather(
        hoga("--nats", server.url, "book", "binance_spot", "btcusdt"),
        hoga("book", "binance_spot", "BTC-USDT", "--json", "--nats", server.url),
    )
    assert (people.code, people.err, programs.code, programs.err) == (0, "", 0, "")
    assert "바이낸스 현물 · BTC-USDT" in people.out
    assert "● LIVE verified" in people.out
    assert "61,500.2" in people.out
    fields = json.loads(one_line(programs.out))
    assert (fields["state"], fields["bids"], fields["asks"]) == ("LIVE", [["61500.1", "3"]], [["61500.2", "4"]])


async def test_a_deeper_book_comes_from_the_validator(server: NatsServer, publisher: Publisher) -> None:
    async def answer(_subject: str, payload: bytes) -> bytes:
        depth = pb.BookRequest.FromString(payload).depth or 50
        prices = list(range(1, depth + 1))
        book = pb.OrderBook(exchange="binance_spot", symbol="DEEP-USDT", ask_price=prices, ask_size=prices)
        return pb.BookReply(book=book).SerializeToString()

    await publisher.bus.serve(subjects.rpc("book", "binance_spot"), answer)
    shallow = pb.OrderBook(exchange="binance_spot", symbol="DEEP-USDT", epoch=12, ask_price=[1], ask_size=[1])
    shallow.asks_known = 50
    publisher.bus.publish(subjects.book("binance_spot", "DEEP-USDT"), shallow.SerializeToString())
    for depth, levels in (("1", 1), ("7", 7), ("0", 50)):
        outcome = await hoga("--nats", server.url, "book", "binance_spot", "DEEP-USDT", "--json", "--depth", depth)
        assert len(json.loads(outcome.out)["asks"]) == levels


async def test_a_book_whose_validator_died_is_printed_as_stale(server: NatsServer, publisher: Publisher) -> None:
    publisher.book()
    publisher.alive.cancel()
    outcome = await hoga("--nats", server.url, "book", "binance_spot", "BTC-USDT")
    assert outcome.code == 0
    assert "STALE" in outcome.out
    assert "its publisher is silent" in outcome.out
    assert "published" in outcome.out.splitlines()[-1]


async def test_a_market_that_nobody_collects_is_one_line(server: NatsServer, publisher: Publisher) -> None:
    publisher.book()
    typo = await hoga("--nats", server.url, "watch", "binance_spot", "BTC-USD")
    other = await hoga("--nats", server.url, "book", "upbit", "BTC-KRW")
    assert (typo.code, other.code) == (2, 2)
    assert "did you mean BTC-USDT?" in one_line(typo.err)
    assert "nothing is collected of upbit yet" in one_line(other.err)


async def test_a_bus_on_which_no_validator_ever_ran_is_one_line(server: NatsServer) -> None:
    outcome = await hoga("--nats", server.url, "book", "upbit", "BTC-KRW")
    assert outcome.code == 2
    assert "nothing is collected" in one_line(outcome.err)


@pytest.mark.parametrize("json_lines", [False, True])
async def test_watch_without_a_terminal_prints_a_line_for_each_change(
    server: NatsServer, publisher: Publisher, json_lines: bool
) -> None:
    publisher.book()
    process = await asyncio.create_subprocess_exec(
        *HOGA,
        *("--nats", server.url, "watch", "binance_spot", "BTC-USDT", *(["--json"] if json_lines else [])),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(3):
        line = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode()
        if json_lines:
            assert json.loads(line)["revision"] == publisher.revision
        else:
            assert line.split(" ", 1)[1] == "LIVE 61500.10 × 3 | 61500.20 × 4\n"
        publisher.book()
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert (process.returncode, err) == (130, b"")


async def test_a_reader_that_leaves_is_no_error(server: NatsServer, publisher: Publisher) -> None:
    publisher.book()
    command = " ".join(HOGA) + f" --nats {server.url} watch binance_spot BTC-USDT --json | head -n 1"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f"set -o pipefail; {command}"),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    work = asyncio.create_task(process.communicate())
    async with asyncio.timeout(PATIENCE_S):
        while not work.done():
            publisher.book()
            await asyncio.wait({work}, timeout=0.1)
    out, err = work.result()
    assert len(out.splitlines()) == 1
    assert (process.returncode, err) == (0, b"")


async def test_top_without_a_terminal_prints_one_picture(server: NatsServer, publisher: Publisher) -> None:
    publisher.book()
    outcome = await hoga("--nats", server.url, "top")
    assert outcome.code == 0
    assert "바이낸스 현물" in outcome.out
    assert "validator a1" in outcome.out


async def test_a_login_that_is_refused_is_one_line_that_names_the_settings() -> None:
    with NatsServer(config="authorization { users = [{user: me, password: right}] }") as server:
        for variables in ({}, {"HOGA_NATS_USER": "me", "HOGA_NATS_PASSWORD": "wrong"}):
            outcome = await hoga("--nats", server.url, "top", "--once", **variables)
            assert outcome.code == 2
            assert "check HOGA_NATS_USER and HOGA_NATS_PASSWORD" in one_line(outcome.err)
            assert "wrong" not in outcome.err


# In a terminal.


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("\x03", 130)])
async def test_watch_draws_follows_and_gives_the_terminal_back(
    server: NatsServer, publisher: Publisher, key: str, code: int
) -> None:
    publisher.book()
    async with Terminal("--nats", server.url, "watch", "binance_spot", "BTC-USDT") as terminal:
        await terminal.until("바이낸스 현물")
        await terminal.until("61,500.2")
        publisher.book()
        await terminal.until(f"sequence {1000 + publisher.revision}")
        assert terminal.settings != terminal.before
        terminal.type(key)
        await terminal.until("\x1b[?1049l")
        assert await terminal.end() == code
        assert terminal.settings == terminal.before
        assert "Traceback" not in terminal.text


async def test_watch_tells_when_the_publisher_dies_and_when_it_is_back(
    server: NatsServer, publisher: Publisher
) -> None:
    publisher.book()
    async with Terminal("--nats", server.url, "watch", "binance_spot", "BTC-USDT") as terminal:
        await terminal.until("● LIVE")
        publisher.alive.cancel()
        await terminal.until("● STALE")
        await terminal.until("its publisher is silent")
        heir = Publisher(publisher.bus, epoch=13)
        heir.book()
        await terminal.until("● LIVE")
        heir.alive.cancel()
        terminal.type("q")
        assert await terminal.end() == 0


async def test_top_draws_and_leaves(server: NatsServer, publisher: Publisher) -> None:
    publisher.book()
    async with Terminal("--nats", server.url, "top") as terminal:
        await terminal.until("validator a1")
        terminal.type("q")
        assert await terminal.end() == 0
        assert terminal.settings == terminal.before


async def test_a_termination_gives_the_terminal_back(server: NatsServer, publisher: Publisher) -> None:
    publisher.book()
    async with Terminal("--nats", server.url, "top") as terminal:
        await terminal.until("validator a1")
        terminal.process.send_signal(signal.SIGTERM)
        await terminal.until("\x1b[?1049l")
        await terminal.end()
        assert terminal.settings == terminal.before


async def test_a_wrong_symbol_in_a_terminal_leaves_no_trace_but_the_line(
    server: NatsServer, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.book()
    async with Terminal("--nats", server.url, "watch", "binance_spot", "NOPE-USDT") as terminal:
        assert await terminal.end() == 2
        await terminal.until("hoga: no book of 'NOPE-USDT'")
        assert terminal.settings == terminal.before
