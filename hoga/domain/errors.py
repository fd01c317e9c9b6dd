"""Every error the project raises on purpose, and what the catcher should do.

    HogaError
    ├── ConfigError      give up: a setting is wrong; the message names key, value and what is allowed
    ├── FrameError       drop the frame, count it under `reason`; nothing else is lost
    ├── LinkError        reconnect: the link or the exchange refused
    ├── RestError        the request failed; `retry_after_s` says when to try again (None: not at all)
    ├── BusError         the message bus refused or is away; try again later
    └── TapeError        the recording cannot be read

Loss of data is a verdict (an event, a state), never an exception.
"""

from __future__ import annotations

SNIPPET_CHARS = 160


def snippet(data: bytes | str) -> str:
    """What was found, cut to a sane length and printable."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    cut = text if len(text) <= SNIPPET_CHARS else text[:SNIPPET_CHARS] + "…"
    return "".join(char if char.isprintable() else "�" for char in cut)


class HogaError(Exception):
    """Base of all; its text is fit to show to a user."""


class ConfigError(HogaError):
    """A setting is wrong."""


class FrameError(HogaError):
    """A frame or body from outside is not what the exchange documents.

    `reason` is a short stable word for counting: json, shape, number, size, symbol, crossed, time, levels, channel,
    checksum, contradicted.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class LinkError(HogaError):
    """A websocket connection failed or was refused."""


class RestError(HogaError):
    """A REST request failed."""

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class BusError(HogaError):
    """The message bus refused or is away."""


class TapeError(HogaError):
    """A recording cannot be read."""
