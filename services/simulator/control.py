"""HTTP beside the exchanges: truth, control, status.

GET  /truth/<code>/<native>?seq=…&life=…|time_ms=…&depth=…    {"seq","time_ms","life","bids":[["p","s"]…],"asks":…}
POST /control {"action":"drop","code":"upbit",…}       what was done; the actions: --list-actions. 404 for an unknown
                                                       market, 400 with one line for whatever else is wrong
GET  /control                                          what struck so far, what is armed
GET  /status                                           markets, links and counts
GET  /healthz                                          200 while frames are paced
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from hoga.domain.errors import snippet
from services.simulator.actions import ACTIONS, ALIASES

if TYPE_CHECKING:
    from services.simulator.server import SimulatorServer

NO_COMMAND = "expected a JSON object with an action"
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
            wanted = await request.json()
        except ValueError:
            return _refuse(400, NO_COMMAND)
        except RecursionError:
            return _refuse(400, f"{NO_COMMAND}, nested less deeply")
        try:
            action, arguments = _command(wanted, server.venues)
            return web.json_response(getattr(server.faults, action)(**arguments))
        except KeyError as error:
            return _refuse(404, f"unknown market {snippet(str(error))}")
        except ValueError as error:
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


def _command(wanted: object, codes: Collection[str]) -> tuple[str, dict[str, Any]]:
    """(action, its arguments) that the body of a POST asks for; ValueError, one line, where it is no command."""
    if not isinstance(wanted, dict) or not isinstance(name := wanted.get("action"), str):
        raise ValueError(NO_COMMAND)
    action = ACTIONS.get(ALIASES.get(name, name))
    if action is None:
        raise ValueError(f"unknown action {snippet(name)!r}; known: {', '.join(ACTIONS)}")
    arguments = {key: value for key, value in wanted.items() if key != "action"}
    action.check(arguments)
    if action.takes_exchange and arguments["code"] not in codes:
        raise ValueError(f"unknown exchange {snippet(arguments['code'])!r}; known: {', '.join(codes)}")
    return action.name, arguments


def _refuse(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
