"""How a websocket is opened: bounded in time, no `Origin`, no compression, no redirect, no cookies.

An `Origin` header puts a client under stricter limits at some exchanges, and aiohttp sends none unless told
to; those that want one (`send_origin`) would be told here. Compression costs more than it saves on a good
line (3-4 µs per KB). A redirect is refused: it could lead anywhere, even out of TLS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace

import aiohttp

from hoga import __version__
from hoga.domain.errors import LinkError
from services.ingest.line import Shared

CLOSE_PATIENCE_S = 1.0
"""How long the exchange gets to answer our close frame."""
MAX_HOLD_S = 3 * 86400.0
_BUSY = (403, 418, 429, 503)

Socket = aiohttp.ClientWebSocketResponse[bool]


class Refused(LinkError):
    """A handshake failed. `hold_s` is how long the exchange wants no connection at all from us."""

    def __init__(self, message: str, hold_s: float = 0.0) -> None:
        super().__init__(message)
        self.hold_s = hold_s


def new_session() -> aiohttp.ClientSession:
    """The one HTTP session of a connector. Close it at the end."""
    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"hoga/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[tracing],
    )


async def connect(shared: Shared) -> Socket:
    """The handshake, within the connect timeout; text frames stay bytes. Refused names the address and why."""
    try:
        async with asyncio.timeout(shared.patience.connect_s):
            return await shared.session.ws_connect(
                shared.url,
                autoping=False,
                autoclose=True,
                heartbeat=None,
                compress=0,
                decode_text=False,
                max_msg_size=shared.exchange.limits.max_frame_bytes,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_PATIENCE_S),
            )
    except TimeoutError:
        raise Refused(f"no answer from {shared.url} within {shared.patience.connect_s:g} s") from None
    except aiohttp.WSServerHandshakeError as error:
        hold_s = retry_after_s(error.headers) if error.status in _BUSY else 0.0
        raise Refused(f"{shared.url} refused the websocket: HTTP {error.status}", hold_s) from None
    except (aiohttp.ClientError, OSError, ValueError, LinkError) as error:
        raise Refused(f"cannot reach {shared.url}: {error or type(error).__name__}") from None


def retry_after_s(headers: Mapping[str, str] | None) -> float:
    """Seconds of a Retry-After header; 0 where there is none that makes sense."""
    try:
        seconds = float((headers or {}).get("Retry-After", "0"))
    except ValueError:
        return 0.0
    return min(seconds, MAX_HOLD_S) if seconds > 0 else 0.0


async def _refuse_redirect(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> None:
    raise LinkError(f"answered with a redirect (HTTP {params.response.status}), which is not followed")
