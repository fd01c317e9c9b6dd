"""One plain subscription, made again on every link."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from nats.aio.subscription import Subscription as NatsSubscription

from hoga.domain.errors import BusError
from hoga.runtime.nats_link import NatsLink


class PlainSubscription:
    """Takes itself off its owner's list when it ends."""

    def __init__(
        self,
        subject: str,
        make: Callable[[NatsLink], Awaitable[NatsSubscription]],
        owner: dict[PlainSubscription, None],
    ) -> None:
        """`make` subscribes on a link."""
        self._subject = subject
        self._make = make
        self._owner = owner
        self._link: NatsLink | None = None
        self._subscription: NatsSubscription | None = None
        self._ended = False

    async def attach(self, link: NatsLink) -> None:
        if self._link is link:
            return
        self._link = link
        self._subscription = await self._make(link)
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
