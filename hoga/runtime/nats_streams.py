"""JetStream calls of the bus: streams of last values and reads of one value.

A stream here is a memory stream that keeps one message per subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from hoga.domain.errors import BusError, snippet
from hoga.runtime.nats_link import NatsLink, NobodyError

API_TIMEOUT_S = 3.0
NS_PER_S = 1_000_000_000
_STREAM_NOT_FOUND = 10059
_STREAM_EXISTS = 10058


class NoStreamError(BusError):
    """The stream does not exist (yet)."""


class RefusedError(BusError):
    """JetStream said no; `code` is its own number for why."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream this process wants to exist."""

    name: str
    subjects: tuple[str, ...]
    max_bytes: int
    max_age_s: float

    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "storage": "memory",
            "retention": "limits",
            "discard": "old",
            "max_msgs_per_subject": 1,
            "max_bytes": self.max_bytes,
            "max_age": int(self.max_age_s * NS_PER_S),
            "allow_direct": True,
            "num_replicas": 1,
        }


async def ensure(link: NatsLink, spec: StreamSpec) -> None:
    """Creates the stream, or makes the one that is there what it should be."""
    try:
        await api(link, f"STREAM.CREATE.{spec.name}", spec.config())
    except RefusedError as error:
        if error.code != _STREAM_EXISTS:
            raise
        await api(link, f"STREAM.UPDATE.{spec.name}", spec.config())


async def last(link: NatsLink, stream: str, subject: str) -> bytes | None:
    """Direct get of one subject's last value; a subject with wildcards gives the newest of those that match."""
    try:
        answer = await link.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", API_TIMEOUT_S)
    except NobodyError:
        raise NoStreamError(f"there is no stream {stream} on this NATS server (yet)") from None
    status = (answer.headers or {}).get("Status")
    if status == "404":
        return None
    if status is not None:
        raise BusError(f"direct get of {subject} from {stream} failed with status {status}")
    return answer.data


async def api(link: NatsLink, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One JetStream call; BusError with the server's words, NoStreamError where the stream is missing."""
    subject = f"$JS.API.{call}"
    try:
        answer = await link.request(subject, msgspec.json.encode(body) if body else b"", API_TIMEOUT_S)
    except NobodyError:
        raise BusError(f"JetStream is not enabled on this NATS server (nobody answers on {subject})") from None
    try:
        reply = msgspec.json.decode(answer.data, type=dict[str, Any])
    except msgspec.DecodeError:
        raise BusError(f"JetStream's answer to {call} is not understood: {snippet(answer.data)}") from None
    problem = reply.get("error")
    if not problem:
        return reply
    code = int(problem.get("err_code", 0))
    if code == _STREAM_NOT_FOUND:
        raise NoStreamError(f"there is no stream {call.split('.')[2]} on this NATS server (yet)")
    raise RefusedError(f"JetStream refuses {call}: {snippet(str(problem.get('description', problem)))}", code)
