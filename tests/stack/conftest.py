"""The stack that the tests here share: brought up once, taken down whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .compose import LEFT_OUT, ROOT, CommandError, Stack, run

SETTINGS = {
    "HOGA_SIMULATOR_SEED": "11",
    "HOGA_SIMULATOR_SYMBOLS": "6",
    "HOGA_VALIDATOR_DEPTH": "15",
    "HOGA_EXCHANGES_UPBIT_LINES": "2",
    "HOGA_EXCHANGES_BINANCE_SPOT_GAP_POLICY": "resync",
}
SWITCH = "HOGA_STACK"
Recorder = Callable[[str, object], None]
"""pytest's `record_property`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.stack)
            item.add_marker(pytest.mark.timeout(600))
            if os.environ.get(SWITCH) != "1":
                item.add_marker(pytest.mark.skip(reason=f"needs a Docker engine: `make stack` ({SWITCH}=1)"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The demo of docker-compose.yml, up; `stack.started` is when `up` was called."""
    made = Stack(tmp_path_factory.mktemp("stack"), SETTINGS)
    prepare(made)
    began = time.monotonic()
    made.compose("build", "-q", timeout_s=900.0)
    say(f"built in {time.monotonic() - began:.1f} s")
    try:
        made.started = time.time()
        made.up()
        say(f"up returned after {time.time() - made.started:.1f} s")
        yield made
    except CommandError as problem:
        problem.add_note(made.compose("logs", "--no-color", "--tail", "15"))
        raise
    finally:
        made.down()
    assert made.leftovers() == [], "`down -v` left something behind"


def prepare(stack: Stack) -> None:
    """An engine, and the images: pulled where that is possible, else made by engine.sh."""
    try:
        run("docker", "info", timeout_s=20.0)
        services = stack.config()["services"]
        for image in {found["image"] for name, found in services.items() if name != LEFT_OUT and "build" not in found}:
            if image != "hoga:local":
                obtain(image)
    except (CommandError, FileNotFoundError, subprocess.TimeoutExpired) as problem:
        say(f"{str(problem).splitlines()[0]}; asking tests/stack/engine.sh")
        say(run(str(ROOT / "tests" / "stack" / "engine.sh"), timeout_s=1200.0))


def obtain(image: str) -> None:
    try:
        run("docker", "image", "inspect", image)
    except CommandError:
        run("docker", "pull", "-q", image, timeout_s=300.0)


def say(text: str) -> None:
    """Shown with `pytest -s`, and in the report of a failure."""
    sys.stdout.write(f"{text}\n")
