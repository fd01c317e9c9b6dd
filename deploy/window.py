"""Keeps the stream BOOKS of the account OUTSIDE in being: `python -m deploy.window`.

Those who only read log in to an account of their own, where nothing they do can reach the services
(nats/nats.conf). The server hands the books over by itself; this process only makes the memory stream that
keeps the last one of each, and makes it again when the server has lost its memory. No book passes through it.
"""

from __future__ import annotations

import sys

from hoga.runtime.service import ServiceContext, run_service
from hoga.wire import subjects

MAX_BYTES = 64 << 20
MAX_AGE_S = 20.0
"""As the validator's own stream: a quiet book is published again long before, and one older has no publisher."""


async def main(ctx: ServiceContext) -> None:
    await ctx.bus.ensure_stream(subjects.BOOKS_STREAM, [subjects.book("*")], max_bytes=MAX_BYTES, max_age_s=MAX_AGE_S)
    await ctx.stopping.wait()


if __name__ == "__main__":
    sys.exit(run_service("window", main, description="Keeps the stream from which outside readers take books."))
