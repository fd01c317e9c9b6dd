"""Certificates as the `openssl` command makes them, and a relay that sees what a client really sends."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from pathlib import Path

import pytest

HERE = "IP:127.0.0.1"


class Authority:
    """A certificate authority in a folder: `context` makes servers of it, who trusts `certificate` believes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "ca.pem"
        _openssl("req", "-x509", *_key(folder / "ca.key"), "-days", "2", "-subj", "/CN=ours", "-out", self.certificate)

    def context(self, name: str, days: int = 2) -> ssl.SSLContext:
        """A server that shows a certificate for `name` ("IP:…" or "DNS:…"), signed here; `days` -1: one that ran out
        yesterday."""
        key, request, found = (self.folder / f"server.{end}" for end in ("key", "csr", "pem"))
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName={name}\n")
        signed = ("-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", str(days))
        _openssl("req", *_key(key), "-new", "-subj", "/CN=server", "-out", request)
        _openssl("x509", "-req", "-in", request, *signed, "-extfile", extensions, "-out", found)
        return _serving(found, key)


def self_signed(folder: Path, name: str = HERE) -> ssl.SSLContext:
    """A server whose certificate is right in everything, and signed by nobody else."""
    key, found = folder / "self.key", folder / "self.pem"
    names = ("-subj", "/CN=127.0.0.1", "-addext", f"subjectAltName={name}")
    _openssl("req", "-x509", *_key(key), "-days", "2", *names, "-out", found)
    return _serving(found, key)


class Relay:
    """Hands every connection on to a port of this machine, out of TLS where it is given a context; `heard` are the
    first bytes of each connection that said something."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.heard: list[bytes] = []
        self.port = 0
        self._target, self._context = port, context
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if first := await reader.read(1 << 16):
                self.heard.append(first)
                upstream, onward = await asyncio.open_connection("127.0.0.1", self._target)
                onward.write(first)
                await asyncio.gather(_pump(reader, onward), _pump(upstream, writer))
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
    writer.close()


def _serving(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _key(path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "rsa:2048", "-nodes", "-keyout", path)


def _openssl(*arguments: str | Path) -> None:
    try:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs the openssl command")
