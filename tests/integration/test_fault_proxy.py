"""The TCP fault proxy: bytes are late, in pieces or gone, but never changed; connections end in every way there is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from services.simulator.proxy import FaultProxy

WAIT_S = 30.0
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that sends back what it gets, and remembers how its connections ended."""

    def __init__(self) -> None:
        self.port = 0
        self.connected = 0
        self.received = 0
        self.ends: asyncio.Queue[str] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        try:
            while data := await reader.read(1 << 16):
                self.received += len(data)
                writer.write(data)
                await writer.drain()
            self.ends.put_nowait("fin")
        except ConnectionError:
            self.ends.put_nowait("rst")
        finally:
            writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(WAIT_S):
        yield echo
    server.close()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", echo.port, seed=3) as proxy:
        yield proxy


async def connect(proxy: FaultProxy) -> Pair:
    """A connection that has been through to the server and back."""
    pair = await asyncio.open_connection(proxy.host, proxy.port)
    assert await said(pair, b"hello") == b"hello"
    return pair


async def said(pair: Pair, data: bytes) -> bytes:
    pair[1].write(data)
    return await pair[0].readexactly(len(data))


async def end_of(pair: Pair) -> str:
    try:
        return "fin" if await pair[0].read() is not None else ""
    except ConnectionResetError:
        return "rst"


async def test_bytes_pass_unchanged_and_both_halves_close_on_their_own(echo: Echo, proxy: FaultProxy) -> None:
    pair = await asyncio.open_connection(proxy.host, proxy.port)
    data = bytes(range(256)) * 20_000
    pair[1].write(data)
    pair[1].write_eof()
    assert await pair[0].read() == data  # the answer comes after our end has closed
    assert await echo.ends.get() == "fin"
    pair[1].close()


async def test_a_reset_is_a_reset_at_both_ends(echo: Echo, proxy: FaultProxy) -> None:
    pairs = [await connect(proxy) for _ in range(3)]
    assert proxy.connections == 3
    assert proxy.rst(2) == 2
    assert [await end_of(pair) for pair in pairs[:2]] == ["rst", "rst"]
    assert [await echo.ends.get() for _ in range(2)] == ["rst", "rst"]
    assert await said(pairs[2], b"still here") == b"still here"
    assert proxy.struck["rst"] == 2


async def test_an_orderly_end_is_one_at_both_ends(echo: Echo, proxy: FaultProxy) -> None:
    pair = await connect(proxy)
    assert proxy.fin() == 1
    assert await end_of(pair) == "fin"
    assert await echo.ends.get() == "fin"


@pytest.mark.parametrize(("verb", "end"), [("rst", "rst"), ("fin", "fin")])
async def test_with_one_way_the_other_end_is_not_told(verb: str, end: str, echo: Echo, proxy: FaultProxy) -> None:
    pair = await connect(proxy)
    getattr(proxy, verb)(way="down")
    assert await end_of(pair) == end
    pair[1].close()
    other = await connect(proxy)
    assert echo.ends.empty(), "the server must not know"
    proxy.heal()
    assert await echo.ends.get() == "rst"
    assert await said(other, b"x") == b"x"


async def test_half_open_swallows_everything_and_ends_in_a_reset(echo: Echo, proxy: FaultProxy) -> None:
    pair = await connect(proxy)
    assert proxy.half_open() == 1
    before = echo.received
    pair[1].write(b"lost" * 1000)
    fine = await connect(proxy)  # a new connection is not concerned, and its bytes come after those
    assert await said(fine, b"abc") == b"abc"
    assert echo.received == before + len(b"hello" + b"abc")
    assert echo.ends.empty()
    assert not pair[0].at_eof()
    proxy.heal()
    assert await end_of(pair) == "rst"
    assert await echo.ends.get() == "rst"
    assert await said(fine, b"def") == b"def"


async def test_a_hole_ends_by_itself(echo: Echo, proxy: FaultProxy) -> None:
    pair = await connect(proxy)
    proxy.half_open(0.5)  # long enough for the bytes to be lost in it, whatever holds us up
    pair[1].write(b"lost")
    assert await end_of(pair) == "rst"
    assert await echo.ends.get() == "rst"


async def test_half_open_one_way_lets_the_other_pass(echo: Echo, proxy: FaultProxy) -> None:
    pair = await connect(proxy)
    proxy.half_open(way="down")
    before = echo.received
    pair[1].write(b"one way")
    while echo.received < before + 7:
        await asyncio.sleep(0.001)
    reading = asyncio.create_task(pair[0].read(1))
    other = await connect(proxy)
    assert not reading.done()
    proxy.heal()
    with pytest.raises(ConnectionResetError):
        await reading
    other[1].close()


async def test_a_hole_that_lost_nothing_leaves_no_trace(proxy: FaultProxy) -> None:
    pair = await connect(proxy)
    proxy.half_open()
    proxy.heal()
    assert await said(pair, b"as before") == b"as before"


async def test_a_stalled_handshake_is_served_in_the_end(echo: Echo, proxy: FaultProxy) -> None:
    early = await connect(proxy)
    proxy.stall()
    late = await asyncio.open_connection(proxy.host, proxy.port)
    late[1].write(b"GET /")
    assert await said(early, b"open ones go on") == b"open ones go on"
    assert echo.connected == 1
    proxy.heal()
    assert await late[0].readexactly(5) == b"GET /"


async def test_refused_connections_keep_the_port_ours(echo: Echo, proxy: FaultProxy) -> None:
    pair = await connect(proxy)
    proxy.refuse()
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(proxy.host, proxy.port)
    with pytest.raises(OSError, match="in use"), socket.socket() as thief:
        thief.bind((proxy.host, proxy.port))
    assert await said(pair, b"open ones go on") == b"open ones go on"
    proxy.refuse(0.01)  # the same verb once more begins anew, and this time ends by itself
    while True:
        with suppress(ConnectionRefusedError):
            await connect(proxy)
            break
        await asyncio.sleep(0.005)


async def test_slices_are_small_and_lose_nothing(proxy: FaultProxy) -> None:
    pair = await connect(proxy)
    proxy.slice(3, way="down")
    data = bytes(range(256)) * 8
    pair[1].write(data)
    got, pieces = b"", []
    while len(got) < len(data):
        piece = await pair[0].read(1 << 16)
        pieces.append(len(piece))
        got += piece
    assert got == data
    assert len(pieces) > 20  # what is read at once may hold several


async def test_delay_keeps_the_order_and_is_at_least_so_long(proxy: FaultProxy) -> None:
    pair = await connect(proxy)
    proxy.delay(0.15, way="up", jitter_s=0.1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(20):
        pair[1].write(bytes([n]))
        await asyncio.sleep(0.001)
    assert await pair[0].readexactly(20) == bytes(range(20))
    assert loop.time() - began >= 0.14
    proxy.heal()
    assert await said(pair, b"quick") == b"quick"


async def test_throttled_bytes_take_their_time(proxy: FaultProxy) -> None:
    pair = await connect(proxy)
    proxy.throttle(100_000, way="down")
    loop = asyncio.get_running_loop()
    began = loop.time()
    data = b"x" * 30_000
    assert await said(pair, data) == data
    assert loop.time() - began >= 0.25


async def test_a_target_that_is_away_is_a_reset_and_can_be_replaced(echo: Echo) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()[1]
    async with FaultProxy("127.0.0.1", nobody) as proxy:
        pair = await asyncio.open_connection(proxy.host, proxy.port)
        assert await end_of(pair) == "rst"
        proxy.target = ("127.0.0.1", echo.port)
        await connect(proxy)


async def test_wrong_arguments_are_named_and_a_busy_port_is_an_os_error(proxy: FaultProxy) -> None:
    with pytest.raises(ValueError, match="way is 'sideways'; allowed is up, down or both"):
        proxy.rst(way="sideways")
    with pytest.raises(ValueError, match="most is 0"):
        proxy.slice(0)
    with socket.create_server(("127.0.0.1", 0)) as busy, pytest.raises(OSError, match="in use"):
        await FaultProxy("127.0.0.1", 1, listen=("127.0.0.1", busy.getsockname()[1])).start()


async def test_nothing_is_left_behind(echo: Echo) -> None:
    before = asyncio.all_tasks()
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        pairs = [await connect(proxy) for _ in range(10)]
        proxy.half_open(60.0)
        proxy.stall(60.0)
        waiting = await asyncio.open_connection(proxy.host, proxy.port)
    for pair in (*pairs, waiting):
        with suppress(ConnectionError):
            await pair[0].read()
    assert proxy.connections == 0
    while {task for task in asyncio.all_tasks() - before if "serve" in repr(task)}:
        await asyncio.sleep(0.005)
