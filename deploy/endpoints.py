"""Decides once per `docker compose up` whether the exchanges are the real ones or the simulator's.

The demo profile starts the simulator; when that is healthy, compose runs this with `--demo`, which leaves word of it,
and then without. Where the simulator answers, the settings file that every service reads points each exchange at it;
else the file holds nothing. Rules:

1. The decision is written before the ingests start. A restart of any container, or of the machine, keeps it:
   simulated and real books never mix because something crashed.
2. While ingests run on one sort of exchange, the other sort is refused: exit code 1 and one line, and compose
   starts nothing more.
3. A demo was wanted and the simulator does not answer: refused, never the real exchanges instead.
4. Every exchange or none: a setting that would leave one of them at its real address in a demo is refused.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from hoga.domain.errors import ConfigError
from hoga.exchanges import registry
from hoga.runtime.config import load_settings

SIMULATOR = "simulator"
SIMULATOR_PORT = 9200
WORD = "demo-wanted"
METRICS_PORT = 9100
PATIENCE_S = 2.0
SAY_REAL = "this stack runs on the REAL exchanges\n"
SAY_SIMULATED = """\
this stack runs on SIMULATED exchanges: no price in it is real
for the real ones: docker compose --profile demo down, then docker compose up
"""
LIVE = "# REAL exchanges. Written by deploy/endpoints.py at `docker compose up`.\n"
SIMULATED = "# SIMULATED exchanges. Written by deploy/endpoints.py at `docker compose --profile demo up`.\n"


def main() -> int:
    file = Path(os.environ["HOGA_CONFIG"])
    word = file.with_name(WORD)
    if sys.argv[1:] == ["--demo"]:
        word.touch()
        return 0
    try:
        simulated = service_at(SIMULATOR) == "simulator"
        refuse_without_simulator(word, simulated)
        refuse_to_mix(file, simulated, running_ingests)
        write(file, settings_text() if simulated else LIVE)
        if simulated:
            refuse_real_addresses(file)
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(SAY_SIMULATED if simulated else SAY_REAL)
    return 0


def settings_text() -> str:
    """The settings file that points every exchange at the simulator."""
    lines = [SIMULATED]
    for code in registry.supported():
        place = f"{SIMULATOR}:{SIMULATOR_PORT}/{code}"
        lines.append(f'\n[exchanges.{code}]\nws_url = "ws://{place}"\nrest_url = "http://{place}"\n')
    return "".join(lines)


def refuse_without_simulator(word: Path, simulated: bool) -> None:
    """ConfigError where `--demo` left word and the simulator is not there. The word holds for one `up`."""
    wanted = word.exists()
    word.unlink(missing_ok=True)
    if wanted and not simulated:
        raise ConfigError("a demo is wanted and the simulator does not answer; see `docker compose logs simulator`")


def refuse_to_mix(file: Path, simulated: bool, ingests: Callable[[], list[str]]) -> None:
    """ConfigError where `ingests` run on the other sort of exchanges than the one wanted now."""
    if not file.exists() or file.read_text("utf-8").startswith(SIMULATED) == simulated:
        return
    running = ", ".join(ingests())
    if not running:
        return
    if simulated:
        raise ConfigError(f"{running}: running on the real exchanges; `docker compose down` before the demo")
    raise ConfigError(f"{running}: running on simulated exchanges; `docker compose --profile demo down` first")


def refuse_real_addresses(file: Path) -> None:
    """ConfigError where the environment, which wins over the file, leaves an exchange at another address."""
    settings = load_settings(file)
    for code in registry.supported():
        chosen = settings.exchange(code)
        for key, address in (("WS_URL", chosen.ws_url), ("REST_URL", chosen.rest_url)):
            if f"//{SIMULATOR}:{SIMULATOR_PORT}/" not in address:
                raise ConfigError(
                    f"HOGA_EXCHANGES_{code.upper()}_{key} = {address}: not in a demo; remove it from .env"
                )


def running_ingests() -> list[str]:
    hosts = (f"ingest-{code.replace('_', '-')}" for code in registry.supported())
    return [host for host in hosts if service_at(host).startswith("ingest")]


def service_at(host: str) -> str:
    """The name of the service that answers at `host`; empty where none does, or something that is not ours."""
    connection = http.client.HTTPConnection(host, METRICS_PORT, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        answer = json.loads(connection.getresponse().read(65536))
        return str(answer["service"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return ""
    finally:
        connection.close()


def write(file: Path, text: str) -> None:
    """At once or not at all."""
    new = file.with_suffix(".new")
    new.write_text(text, "utf-8")
    new.replace(file)


if __name__ == "__main__":
    sys.exit(main())
