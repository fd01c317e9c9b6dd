"""docker-compose.yml, brought up for real with simulated exchanges (`make stack`).

What a user looks at: books from outside and the web page. What must hold of every container: limits, users,
read-only roots, passwords. And that simulated and real exchanges do not mix.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from nats import errors as nats_errors
from nats.aio.client import Client as NatsClient

from hoga.domain.errors import BusError
from hoga.domain.types import State
from hoga.exchanges import registry
from hoga.runtime.nats_bus import connect_nats

from .compose import PASSWORDS, ROOT, RUN_ONCE, CommandError, Stack, run
from .conftest import SETTINGS, Recorder, say
from .reading import (
    BOOKS,
    PATIENCE_S,
    live_and_all,
    live_book,
    live_books,
    page_state,
    reader,
    reader_settings,
    wait_for,
)

OURS = "hoga:local"


# --- what comes out


async def test_live_books_of_every_exchange_reach_a_reader_outside(stack: Stack, record_property: Recorder) -> None:
    books = await live_books(stack)
    seconds = time.time() - stack.started
    say(f"LIVE books of {len(books)} exchanges {seconds:.1f} s after `up` was called")
    record_property("seconds_to_live_books", round(seconds, 1))
    for exchange, book in books.items():
        assert (book.exchange, book.symbol) == (exchange, BOOKS[exchange])
        assert book.bids[0].price < book.asks[0].price


def test_every_book_of_every_exchange_becomes_live(stack: Stack, record_property: Recorder) -> None:
    wanted = len(BOOKS) * int(SETTINGS["HOGA_SIMULATOR_SYMBOLS"])
    wait_for(lambda: live_and_all(stack), (wanted, wanted))
    seconds = time.time() - stack.started
    say(f"all {wanted} books LIVE {seconds:.1f} s after `up` was called")
    record_property("seconds_to_all_books_live", round(seconds, 1))


async def test_the_settings_of_dotenv_arrive(stack: Stack) -> None:
    books = await live_books(stack)
    depth = int(SETTINGS["HOGA_VALIDATOR_DEPTH"])
    assert max(len(side) for book in books.values() for side in (book.bids, book.asks)) == depth
    async with reader(stack) as client:
        universe = await client.universe("upbit")
    assert universe is not None
    assert len(universe.entries) == int(SETTINGS["HOGA_SIMULATOR_SYMBOLS"])


def test_two_lines_are_asked_for_in_dotenv(stack: Stack) -> None:
    """SETTINGS ask for two of one exchange."""

    def doubled() -> set[str]:
        return {link["exchange"] for link in page_state(stack)["links"] if link["slot"].endswith("b")}

    wait_for(doubled, {"upbit"})


async def test_what_becomes_of_a_gap_is_chosen_in_dotenv(stack: Stack) -> None:
    """SETTINGS choose it for one of two exchanges: its book is withheld, the other goes on; both heal."""
    async with reader(stack) as client:
        for exchange, state in (("binance_spot", State.SYNCING), ("binance_future", State.GAPPED)):
            await live_book(client, exchange)
            async with asyncio.timeout(PATIENCE_S), client.books(exchange, BOOKS[exchange]) as books:
                assert (await anext(books)).live
                lost = {"action": "drop", "code": exchange, "native": "BTCUSDT", "count": 2}
                await asyncio.to_thread(stack.ask_simulator, lost)
                while (book := await anext(books)).live:
                    pass
            assert book.state is state, exchange
            await live_book(client, exchange, after_ns=time.time_ns())


async def test_a_reader_may_ask_for_the_full_book(stack: Stack) -> None:
    await live_books(stack)
    async with reader(stack) as client:
        book = await client.full_book("binance_spot", "BTC-USDT")
    assert len(book.bids) > int(SETTINGS["HOGA_VALIDATOR_DEPTH"])


async def test_a_reader_writes_nothing_and_a_stranger_reads_nothing(stack: Stack) -> None:
    bus = await connect_nats(reader_settings(stack), name="stranger", timeout_s=30.0)
    with pytest.raises(BusError, match="permission denied for user consumer"):
        await bus.subscribe("ob.v1.raw.>", lambda *_: None)
    await bus.close()
    for user, password in ((None, None), ("consumer", "consumer"), ("ingest", "ingest")):
        stranger = NatsClient()
        with pytest.raises(nats_errors.Error, match=r"(?i)authorization"):
            await stranger.connect(
                f"nats://127.0.0.1:{stack.ports['NATS_PORT']}",
                user=user,
                password=password,
                allow_reconnect=False,
                max_reconnect_attempts=1,
            )
        await stranger.close()


def test_the_web_page_answers(stack: Stack) -> None:
    assert "<title" in stack.fetch("MONITOR_PORT", "/")
    assert json.loads(stack.fetch("MONITOR_PORT", "/healthz"))["healthy"] is True


def test_everything_becomes_healthy(stack: Stack) -> None:
    stack.wait_healthy([service for service in stack.services() if service not in RUN_ONCE])
    assert [stack.inspect(service)["State"]["ExitCode"] for service in RUN_ONCE] == [0, 0]


def test_every_exchange_has_an_ingest_and_is_scraped(stack: Stack) -> None:
    ingests = {f"ingest-{code.replace('_', '-')}" for code in registry.supported()}
    assert {service for service in stack.services(demo=False) if service.startswith("ingest-")} == ingests
    assert set(BOOKS) == set(registry.supported())
    targets = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8")
    assert [ingest for ingest in ingests if f"- {ingest}:9100\n" not in targets] == []


# --- what every container keeps


def test_every_container_is_confined(stack: Stack) -> None:
    for service in stack.services():
        found = stack.inspect(service)
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert not host["CapAdd"], service
        assert not host["Privileged"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert 0 < host["Memory"] <= (1024 if service == "simulator" else 512) << 20, service
        assert 0 < host["NanoCpus"] <= 1_000_000_000, service
        assert 0 < host["PidsLimit"] <= 256, service
        assert host["LogConfig"]["Config"]["max-size"], service
        assert int(found["Config"]["User"].split(":")[0]) > 0, service
        assert not any("docker.sock" in mount["Source"] for mount in found["Mounts"]), service


def test_nobody_runs_as_root_or_writes_to_the_root(stack: Stack) -> None:
    for service in ("nats", "validator", "ingest-upbit", "monitor", "window", "simulator", "prometheus"):
        assert stack.compose("exec", "-T", service, "id", "-u").strip() in ("10001", "65534"), service
        for path in ("/app/x", "/etc/x", "/x"):
            with pytest.raises(CommandError, match=r"[Rr]ead-only file system|nonexistent directory|No such file"):
                stack.compose("exec", "-T", service, "touch", path)
    stack.compose("exec", "-T", "validator", "touch", "/tmp/x")


def test_only_readers_ports_are_published_and_only_on_this_machine(stack: Stack) -> None:
    published: dict[tuple[str, str], list[str]] = {}
    for service in stack.services():
        bindings = stack.inspect(service)["HostConfig"]["PortBindings"] or {}
        published |= {
            (service, port): [binding["HostIp"] for binding in found] for port, found in bindings.items() if found
        }
    assert published == {
        ("nats", "4222/tcp"): ["127.0.0.1"],
        ("monitor", "8080/tcp"): ["127.0.0.1"],
        ("prometheus", "9090/tcp"): ["127.0.0.1"],
    }


def test_what_parses_hostile_input_has_no_way_out(stack: Stack) -> None:
    (inside,) = json.loads(run("docker", "network", "inspect", f"{stack.project}_inside"))
    assert inside["Internal"] is True
    for service in ("validator", "aggregator", "window", "simulator", "endpoints", "demo"):
        assert list(stack.inspect(service)["NetworkSettings"]["Networks"]) == [f"{stack.project}_inside"], service


def test_a_service_holds_its_own_password_and_no_other(stack: Stack) -> None:
    for service in stack.services():
        found = stack.inspect(service)
        if found["Config"]["Image"] != OURS:
            continue
        held = {user for user, password in PASSWORDS.items() if password in " ".join(found["Config"]["Env"])}
        own = service.split("-")[0].upper()
        assert held == ({own} if own in PASSWORDS else set()), service
        assert not any(password in stack.logs(service) for password in PASSWORDS.values()), service


def test_the_image_holds_no_build_tools_and_no_writable_code(stack: Stack) -> None:
    script = "command -v gcc cc make git; find /app /opt/venv -writable; ls /opt/venv/bin/pip; id -u"
    assert run("docker", "run", "--rm", "--entrypoint", "sh", OURS, "-c", f"({script}) 2>/dev/null") == "10001\n"
    assert "order books" in run("docker", "run", "--rm", OURS, "hoga", "--help").lower()


def test_the_command_line_is_at_hand_in_a_container(stack: Stack) -> None:
    found = json.loads(stack.compose("exec", "-T", "monitor", "hoga", "book", "upbit", BOOKS["upbit"], "--json"))
    assert found["symbol"] == BOOKS["upbit"]


# --- real or simulated


def test_the_stack_says_that_it_is_simulated(stack: Stack) -> None:
    assert "SIMULATED" in stack.logs("endpoints")
    assert "ws://simulator:9200/upbit" in stack.logs("ingest-upbit")


def test_an_ingest_that_starts_while_the_simulator_is_down_stays_simulated(stack: Stack) -> None:
    stack.compose("stop", "simulator")
    try:
        before = len(stack.logs("ingest-upbit"))
        stack.compose("restart", "ingest-upbit")
        wait_for(lambda: "cannot reach ws://simulator:9200/upbit" in stack.logs("ingest-upbit")[before:])
        assert "api.upbit.com" not in stack.logs("ingest-upbit")
    finally:
        stack.compose("start", "simulator")


async def test_a_plain_up_beside_a_running_demo_mixes_nothing(stack: Stack) -> None:
    stack.up(demo=False)
    assert "SIMULATED" in stack.logs("endpoints").splitlines()[-2]
    assert "wss://" not in stack.logs("ingest-binance-spot")
    await live_books(stack, after_ns=time.time_ns())
    stack.up()


def test_a_demo_without_its_simulator_is_no_real_run(tmp_path: Path) -> None:
    """Whatever the simulator fails of, no ingest starts."""
    broken = Stack(tmp_path, SETTINGS | {"HOGA_SIMULATOR_RATE": "0"})
    try:
        with pytest.raises(CommandError, match="simulator"):
            broken.up()
        assert broken.container("ingest-upbit") == "" or broken.inspect("ingest-upbit")["State"]["Status"] == "created"
        assert "REAL" not in broken.logs("endpoints")
    finally:
        broken.down()
    assert broken.leftovers() == []
