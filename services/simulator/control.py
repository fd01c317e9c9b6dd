"""HTTP beside the exchanges: truth, control, status.

GET  /truth/<code>/<native>?seq=…&life=…|time_ms=…&depth=…    {"seq","time_ms","life","bids":[["p","s"]…],"asks":…}
POST /control {"action":"drop","code":"upbit",…}       what was done; the actions: --list-actions
GET  /control                                          what struck so far, what is armed
GET  /status                                           markets, links and counts
GET  /healthz                                          200 while frames are paced
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from services.simulator.actions import ACTIONS, ALIASES

if TYPE_CHECKING:
    from services.simulator.server import SimulatorServer

_ASKED = ("seq", "time_ms", "depth", "life")


def add_routes(app: web.Application, server: SimulatorServer) -> None:
    async def truth(request: web.Request) -> web.Response:
        try:
            asked = {key: int(request.query[key]) for key in _ASKED if key in request.query}
        except ValueError:
            return _refuse(400, f"{', '.join(_ASKED)} are integers")
        code, native = request.match_info["code"], request.match_info["native"]
        try:
            return web.json_response(server.truth(code, native, **asked))
        except KeyError:
            return _refuse(404, f"no market {native!r} on {code!r}")
        except LookupError as error:
            return _refuse(404, str(error))

    async def act(request: web.Request) -> web.Response:
        try:
            wanted: dict[str, Any] = dict(await request.json())
        except (ValueError, TypeError):
            return _refuse(400, "expected a JSON object with an action")
        action = wanted.pop("action", "")
        action = ALIASES.get(action, action)
        if action not in ACTIONS:
            return _refuse(400, f"unknown action {action!r}; known: {', '.join(ACTIONS)}")
        try:
            return web.json_response(getattr(server.faults, action)(**wanted))
        except KeyError as error:
            return _refuse(404, f"unknown exchange or market {error}")
        except (TypeError, ValueError) as error:
            return _refuse(400, str(error))

    async def report(request: web.Request) -> web.Response:
        return web.json_response(server.faults.report())

    async def status(request: web.Request) -> web.Response:
        return web.json_response(
            {
                code: {
                    "markets": venue.natives(),
                    "links_now": len(venue.links),
                    "subscriptions": sum(len(link.topics) for link in venue.links),
                    **asdict(venue.counts),
                }
                for code, venue in server.venues.items()
            }
            | {"late_rounds": server.late_rounds}
        )

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "exchanges": list(server.venues)})

    app.router.add_get("/truth/{code}/{native}", truth)
    app.router.add_post("/control", act)
    app.router.add_get("/control", report)
    app.router.add_get("/status", status)
    app.router.add_get("/healthz", healthz)


def _refuse(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
