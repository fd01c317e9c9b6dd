"""A real browser for tests: Debian's Chromium, driven over the DevTools protocol with nothing but aiohttp.

async with Chromium.start(tmp_path, width=1280, height=800) as page:
    await page.open("http://127.0.0.1:8080/")
    await page.until("document.body.dataset.feed === 'live'")
    await page.click("#books tbody tr[data-key]")
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

PATH = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]
PATIENCE_S = 30.0


class Chromium:
    """One page of one browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []
        """What the page reported: uncaught errors, console errors, violations of its policy."""
        self._reader = asyncio.create_task(self._read())

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, folder: Path, *, width: int = 1280, height: int = 800, dark: bool = True, mobile: bool = False
    ) -> AsyncIterator[Chromium]:
        """A browser with an empty profile in `folder`, gone with the context."""
        assert PATH is not None, "no Chromium here"
        process = await asyncio.create_subprocess_exec(
            PATH, *FLAGS, f"--user-data-dir={folder}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession() as session:
                address = await _page_address(session, folder / "DevToolsActivePort")
                async with session.ws_connect(address, max_msg_size=64 << 20) as socket:
                    page = cls(socket)
                    await page._prepare(width, height, dark, mobile)
                    yield page
                    page._reader.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def open(self, url: str) -> None:
        await self._call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.protocol !== 'about:'")

    async def value(self, expression: str) -> Any:
        """The value of a JavaScript expression; a thrown error is an AssertionError."""
        answer = await self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        """Returns when the expression is true; AssertionError naming it where that takes too long."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await self.value(f"Boolean({expression})"):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never true in the page: {expression}; complaints: {self.complaints}") from None

    async def click(self, selector: str) -> None:
        """A real click in the middle of the first element that matches, scrolled into sight."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.value(f"{found}.scrollIntoView({{ block: 'nearest' }})")
        await self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        spot = await self.value(
            f"(() => {{ const box = {found}.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self._call("Input.dispatchMouseEvent", type=kind, x=spot[0], y=spot[1], button="left", clickCount=1)

    async def press(self, key: str) -> None:
        """One key, as `KeyboardEvent.key` names it."""
        text = {"text": key} if len(key) == 1 else {}
        await self._call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        await self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def write(self, text: str) -> None:
        await self._call("Input.insertText", text=text)

    async def screenshot(self) -> bytes:
        """What the page looks like, as PNG."""
        answer = await self._call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    async def _prepare(self, width: int, height: int, dark: bool, mobile: bool) -> None:
        for domain in ("Page", "Runtime", "Log"):
            await self._call(f"{domain}.enable")
        await self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self._call("Emulation.setEmulatedMedia", features=[scheme])

    async def _call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    async def _read(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if "id" in event:
                answer = self._answers.pop(event["id"])
                if "error" in event:
                    answer.set_exception(AssertionError(event["error"]["message"]))
                else:
                    answer.set_result(event["result"])
            elif event["method"] == "Runtime.exceptionThrown":
                details = event["params"]["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description") or details["text"])
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                self.complaints.append(event["params"]["entry"]["text"])


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def _page_address(session: aiohttp.ClientSession, port_file: Path) -> str:
    async with asyncio.timeout(PATIENCE_S):
        while not (text := _text(port_file)):
            await asyncio.sleep(0.05)
        port = int(text.split()[0])
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                pages = [page for page in await response.json() if page["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)
