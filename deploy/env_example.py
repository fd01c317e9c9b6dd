"""Prints `.env.example`: every knob with a line of meaning. `python -m deploy.env_example > .env.example`

The first part is what docker-compose.yml reads, the rest comes from the settings themselves. A test keeps the
file current.
"""

from __future__ import annotations

import sys

from hoga.runtime.config import describe

FIXED = (
    "HOGA_CONFIG",
    "HOGA_LOG_DIRECTORY",
    "HOGA_METRICS_HOST",
    "HOGA_METRICS_PORT",
    "HOGA_MONITOR_HOST",
    "HOGA_MONITOR_PORT",
    "HOGA_NATS_PASSWORD",
    "HOGA_NATS_URL",
    "HOGA_NATS_USER",
    "HOGA_SIMULATOR_HOST",
    "HOGA_SIMULATOR_PORT",
)
"""What docker-compose.yml sets itself, whatever .env says."""

COMPOSE = """\
# The settings of `docker compose`. cp .env.example .env, then take the # off what you want to change.
# What stands here are the defaults.

# --- docker compose: passwords. The defaults are known to everybody: they will do while every port is published on
# 127.0.0.1 only, as it is. Any text without " or \\ will do, in '…' where it holds $, # or blanks.
# read only, for anybody who wants books: nats://127.0.0.1:4222, user consumer
#NATS_CONSUMER_PASSWORD=consumer
# one for each of our own processes, which may say and hear different things (deploy/nats/nats.conf)
#NATS_INGEST_PASSWORD=ingest
#NATS_VALIDATOR_PASSWORD=validator
#NATS_AGGREGATOR_PASSWORD=aggregator
#NATS_MONITOR_PASSWORD=monitor
#NATS_WINDOW_PASSWORD=window
# user admin of Grafana; only its very first start reads it
#GRAFANA_PASSWORD=hoga

# --- docker compose: ports on 127.0.0.1
# the message bus
#NATS_PORT=4222
# the web page
#MONITOR_PORT=8080
#PROMETHEUS_PORT=9090
#GRAFANA_PORT=3000

# --- short names of two settings below
# least severe log lines that are shown: ERROR, WARNING, INFO or DEBUG
#LOG_LEVEL=INFO
# 1: the validator writes every raw message and book to log files, in the volume `logs`
#DEBUG_MESSAGE_LOGGING=0

# --- docker-compose.yml sets these itself, and what .env says of them is not heard:
# {fixed}

"""


def text() -> str:
    lines, line = [], ""
    for name in FIXED:
        if len(line) + len(name) > 110:
            lines.append(line)
            line = ""
        line += f"{name} "
    return COMPOSE.replace("{fixed}", "\n# ".join(part.strip() for part in [*lines, line])) + describe()


if __name__ == "__main__":
    sys.stdout.write(text())
