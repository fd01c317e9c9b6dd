"""The documents name files that exist, and the map of the code leaves none of the core out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in ("build", "node_modules") for part in path.relative_to(ROOT).parts)
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
ARCHITECTURE = ROOT / "docs/architecture.md"


def anchors(path: Path) -> set[str]:
    """As the headings of a document are linked to."""
    found = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    dead = []
    for link in LINK.findall(path.read_text()):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_the_map_of_the_code_names_every_file_of_the_core() -> None:
    named = set(CODE.findall(ARCHITECTURE.read_text()))
    files = {path.name for path in (ROOT / "hoga/domain").glob("*.py") if path.name != "__init__.py"}
    assert files - named == set()


def test_the_map_of_the_code_names_no_file_that_is_gone() -> None:
    known = {path.name for folder in ("hoga", "services") for path in (ROOT / folder).rglob("*.py")}
    missing = []
    for name in CODE.findall(ARCHITECTURE.read_text()):
        exists = (ROOT / name).exists() if "/" in name else name in known
        if name.endswith((".py", ".yml", "/")) and not exists:
            missing.append(name)
    assert missing == []
