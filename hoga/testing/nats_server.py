"""The embedded nats-server, for tests; the class lives in `hoga.runtime` because `hoga up` uses it too."""

from hoga.runtime.nats_server import NatsServer

__all__ = ["NatsServer"]
