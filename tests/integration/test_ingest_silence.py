"""Links that fall silent: those that answer questions are found out soon, those that never did are left in peace."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from services.ingest.connector import ExchangeConnector
from services.ingest.line import BELIEVED, Patience
from services.ingest.link import LATE_S
from services.ingest.reader import PAUSED_NS
from tests.integration.ingest_support import Connection, Venue, beating, collecting, natives_of, until

QUICK = Patience(connect_s=5.0, look_s=0.1, settle_s=5.0, quiet_s=0.1, answer_s=0.4)
NEVER_S = 3600.0
QUESTION = '{"method":"LIST_SUBSCRIPTIONS","id":0}'


@pytest.fixture
async def venue():
    found = Venue(natives_of(3))
    await found.start()
    yield found
    await found.stop()


def only_slot(connector: ExchangeConnector):
    (slot,) = connector.parts.pool
    return slot


def proven(connector: ExchangeConnector) -> bool:
    link = only_slot(connector).link
    return link is not None and link._probing.proven


@pytest.mark.parametrize("question", [None, QUESTION])
async def test_a_link_that_has_answered_and_falls_silent_is_replaced(venue, question):
    exchange = venue.exchange(own={"probe": lambda _self, _now_ns: question}, idle_timeout_s=NEVER_S)
    async with collecting(venue, ["C000-USDT"], exchange=exchange, patience=QUICK) as connector:
        slot, first = only_slot(connector), venue.live[0]
        await until(lambda: proven(connector))
        assert slot.reconnects.total() == 0
        reasons: list[str] = []
        connector._on_status = lambda slot: reasons.append(slot.reason)
        first.silent = True  # it alone: the next one is asked once, and at once
        await until(lambda: slot.reconnects["silent"] == 1)
        await until(lambda: slot.ready and venue.live[-1] is not first)
        assert any("a question was not answered for 0.4 s" in reason for reason in reasons)
        await until(lambda: proven(connector))


async def test_a_link_whose_other_end_reads_no_more_is_replaced(venue):
    exchange = venue.exchange(idle_timeout_s=NEVER_S)
    async with collecting(venue, ["C000-USDT"], exchange=exchange, patience=QUICK) as connector:
        slot = only_slot(connector)
        await until(lambda: proven(connector))
        venue.live[0].freeze()
        await until(lambda: slot.reconnects["silent"] == 1 and slot.ready)
        assert venue.live[-1].subscribed == {"C000USDT"}


async def test_after_a_standstill_of_our_own_the_old_frames_are_not_read(venue):
    exchange = venue.exchange(idle_timeout_s=NEVER_S)
    async with collecting(venue, ["C000-USDT"], exchange=exchange, patience=QUICK) as connector:
        slot = only_slot(connector)
        await until(lambda: proven(connector))
        published = slot.link.tally.published
        reasons: list[str] = []
        connector._on_status = lambda slot: reasons.append(slot.reason)
        link = slot.link
        while link.alive:  # the watchdog may come before the frame that is to find it so
            link._reader.awake_mono_ns -= 2 * PAUSED_NS  # as the first frame finds it that is read after a SIGCONT
            await link.socket.ping()
            await asyncio.sleep(0.001)
        await until(lambda: slot.reconnects["lost"] == 1 and slot.ready)
        assert link.tally.published == published
        assert any("stood still" in reason for reason in reasons)


async def test_a_write_that_hangs_holds_up_neither_the_watchdog_nor_the_close(venue):
    exchange = venue.exchange(idle_timeout_s=NEVER_S, own=beating(NEVER_S))
    async with collecting(venue, ["C000-USDT"], exchange=exchange, patience=QUICK) as connector:
        slot = only_slot(connector)
        link = slot.link
        await until(lambda: proven(connector))
        raw = link.socket.get_extra_info("socket")
        venue.live[0].freeze()
        # Frames go on arriving until the write hangs: the link shall not end before.
        while link._outbox.writing_s is None or not link.alive:
            assert link.alive
            link.send('"' + "x" * (4 << 20) + '"')
            await venue.deliver("C000USDT")
            await asyncio.sleep(0.02)
        await until(lambda: slot.reconnects["silent"] == 1 and slot.ready)
        await until(lambda: raw.fileno() == -1)  # with megabytes of ours still unwritten
        assert link._task.done()


async def test_nobody_waits_for_a_frozen_link_at_the_end(venue):
    exchange = venue.exchange(idle_timeout_s=NEVER_S)
    connector = ExchangeConnector(exchange, venue.settings(), patience=Patience(answer_s=NEVER_S))
    assert await connector.connect()
    link = only_slot(connector).link
    raw = link.socket.get_extra_info("socket")
    venue.live[0].freeze()
    while link._outbox.writing_s is None:
        link.send('"' + "x" * (4 << 20) + '"')
        await asyncio.sleep(0.01)
    await asyncio.wait_for(connector.disconnect(), 30)
    await until(lambda: raw.fileno() == -1)


async def test_an_exchange_that_never_answers_is_not_cut(venue):
    venue.silent = True
    exchange = venue.exchange(idle_timeout_s=NEVER_S)
    async with collecting(venue, ["C000-USDT"], exchange=exchange, patience=QUICK) as connector:
        connection: Connection = venue.live[0]
        link = only_slot(connector).link
        # Each frame makes the silence after it worth a question.
        while len(connection.pings) < 4:
            await venue.deliver("C000USDT")
            count = len(connection.pings)
            await until(lambda: len(connection.pings) > count or not connection.open)  # noqa: B023
        last_s = link._last_s()
        await until(
            lambda: link._last_s() == last_s and asyncio.get_running_loop().time() - last_s > 3 * QUICK.answer_s
        )
        assert only_slot(connector).link is link
        assert connection.open
        assert len(venue.connections) == 1


async def test_a_link_with_frames_but_without_answers_is_reported_late_and_in_the_end_replaced(venue):
    """Proven once; then frames go on, and an answer would come behind all that was sent before it."""
    exchange = venue.exchange(idle_timeout_s=NEVER_S)
    patience = replace(QUICK, ask_s=0.2, hopeless_s=3.0)
    reports: list[int] = []
    async with collecting(venue, ["C000-USDT"], exchange=exchange, patience=patience) as connector:
        await until(lambda: proven(connector))
        slot, link = only_slot(connector), only_slot(connector).link
        connector._on_status = lambda slot: reports.append(slot.status(0).behind_ns)
        venue.live[0].silent = True  # it alone: the next one is asked once, and at once
        while slot.link is link and link.alive:
            await venue.deliver("C000USDT")
            await asyncio.sleep(0.01)
        await until(lambda: slot.reconnects["silent"] == 1)
        assert any(behind_ns > LATE_S * 1e9 for behind_ns in reports), "told at once, not when it was given up"
        await until(lambda: slot.ready and proven(connector) and slot.status(0).behind_ns == 0)


async def test_a_frame_that_takes_long_is_no_silence(venue):
    """A book of megabytes over a slow network: bytes arrive, but no whole frame."""
    exchange = venue.exchange(idle_timeout_s=NEVER_S)
    async with collecting(venue, ["C000-USDT"], exchange=exchange, patience=QUICK) as connector:
        await until(lambda: proven(connector) and only_slot(connector).ready)
        venue.silent = True  # a pong in the midst of the frame would spoil it
        link, raw = only_slot(connector).link, venue.live[0].transport
        text = b'{"padding":"' + b"x" * 100 + b'"}'
        raw.write(bytes([0x81, len(text)]))
        began_s = time.monotonic()
        for at in range(len(text)):
            raw.write(text[at : at + 1])
            await asyncio.sleep(0.02)
        assert time.monotonic() - began_s > 3 * QUICK.answer_s
        venue.silent = False
        await until(lambda: link.tally.unknown == 1 or not link.alive)
        assert link.alive


async def test_a_pause_of_our_own_is_held_against_no_link(venue):
    patience = Patience(connect_s=5.0, settle_s=5.0, quiet_s=0.5, answer_s=0.5)
    async with collecting(
        venue, ["C000-USDT"], exchange=venue.exchange(idle_timeout_s=NEVER_S), patience=patience
    ) as connector:
        slot = only_slot(connector)
        link = slot.link
        await until(lambda: proven(connector))
        put, heard = link._probing.asked, link._probing.answered
        pauses: list[float] = []
        survived: list[int] = []

        def put_and_pause(now_s: float) -> None:
            put(now_s)
            pauses.append(now_s)
            time.sleep(2.0)  # as a stopped process, between the question and the answer

        def hear() -> None:
            heard()
            survived.append(len(pauses))

        link._probing.asked, link._probing.answered = put_and_pause, hear
        await until(lambda: not link.alive or (survived and survived[-1] >= 2))
        assert slot.link is link
        assert slot.reconnects.total() == 0


async def test_every_connection_is_greeted_first(venue):
    hello = ['{"method":"HELLO","id":90}', '{"method":"AND","id":91}']
    exchange = venue.exchange(own={"greeting": lambda _self, _now_ns: list(hello)})
    async with collecting(venue, ["C000-USDT"], exchange=exchange, patience=QUICK) as connector:
        venue.live[0].reset()
        await until(lambda: only_slot(connector).reconnects["lost"] == 1 and only_slot(connector).ready)
        for connection in venue.connections:
            assert [text for _, text in connection.texts][:2] == hello
            assert connection.subscribed == {"C000USDT"}


async def test_a_link_that_falls_silent_before_it_has_answered_is_replaced_where_others_answered(venue):
    exchange = venue.exchange(idle_timeout_s=NEVER_S)
    async with collecting(venue, ["C000-USDT"], exchange=exchange, patience=QUICK) as connector:
        slot = only_slot(connector)
        await until(lambda: proven(connector))
        venue.silent = True
        venue.live[0].reset()
        await until(lambda: slot.reconnects["silent"] == BELIEVED)
        await until(lambda: slot.ready)
        link = slot.link
        await asyncio.sleep(3 * (QUICK.quiet_s + QUICK.answer_s))
        assert slot.link is link, "it may have ceased to answer: now it is left in peace"
        venue.silent = False
        while not proven(connector):
            await venue.deliver("C000USDT")
            await asyncio.sleep(2 * QUICK.quiet_s)  # each silence is worth a question
