"""What several commands ask of their arguments: settings, a connected client, checked numbers."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import msgspec

from hoga.client import Client
from hoga.domain.errors import BusError, ConfigError
from hoga.runtime.config import NatsSettings, Settings, load_settings

CONNECT_PATIENCE_S = 2.0
_MARKET_HELP = "exchange code, as `hoga exchanges` lists them"


def add_market(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("exchange", metavar="EXCHANGE", help=_MARKET_HELP)
    parser.add_argument("symbol", metavar="SYMBOL", help="BASE-QUOTE such as BTC-USDT, or the exchange's own id")


def whole(low: int, high: int, what: str) -> object:
    """An argparse type: a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {low} to {high}")
        return int(text)

    return read


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings of this command, with `--nats` over what they say. ConfigError for a wrong one."""
    settings = load_settings(args.config)
    if args.nats is None:
        return settings
    try:
        checked = load_settings(args.config, {"HOGA_NATS_URL": args.nats}).nats.url
    except ConfigError as error:
        raise ConfigError(str(error).replace("HOGA_NATS_URL", "--nats")) from None
    return msgspec.structs.replace(settings, nats=msgspec.structs.replace(settings.nats, url=checked))


@asynccontextmanager
async def connected_client(nats: NatsSettings, name: str) -> AsyncIterator[Client]:
    """A client; BusError of one line that says what to do where nobody is at the address."""
    client = Client(settings=nats, name=f"hoga-{name}", timeout_s=CONNECT_PATIENCE_S)
    try:
        await client.connect()
    except BusError as error:
        why = "" if _is_absence(str(error)) else f" ({error})"
        raise BusError(
            f"cannot reach NATS at {shown(nats.url)}{why}: is `hoga up` or docker compose running?"
        ) from None
    try:
        yield client
    finally:
        await client.close()


def shown(url: str) -> str:
    """An address without its password."""
    return ",".join(_without_password(part) for part in url.split(","))


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _is_absence(text: str) -> bool:
    return "does not answer" in text
