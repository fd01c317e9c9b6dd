"""One plain subscription, made again on every link."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from hoga.domain.errors import BusError
from hoga.runtime.nats_link import NatsLink


class PlainSubscription:
    """Takes itself off its owner's list when it ends."""

    def __init__(
        self,
        subject: str,
        queue: str,
        receive: Callable[[Msg], Awaitable[None]],
        owner: dict[PlainSubscription, None],
    ) -> None:
        self._subject = subject
        self._queue = queue
        self._receive = receive
        self._owner = owner
        self._link: NatsLink | None = None
        self._subscription: NatsSubscription | None = None
        self._ended = False

    async def attach(self, link: NatsLink) -> None:
        if self._link is link:
            return
        self._link = link
        self._subscription = await link.subscribe(self._subject, self._receive, queue=self._queue)
        if self._ended:
            await self.unsubscribe()

    async def attach_now(self, link: NatsLink) -> None:
        """As `attach`, and waits until the server knows."""
        await self.attach(link)
        await link.settle(self._subject)

    async def unsubscribe(self) -> None:
        """When it returns, the server knows: a request on this subject finds nobody here."""
        self._ended = True
        self._owner.pop(self, None)
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._link is not None and self._link.alive:
            with contextlib.suppress(BusError):
                await self._link.run(subscription.unsubscribe())
                await self._link.settle()
