"""Tables of the documents that are made from code.

    python -m deploy.tables            write them
    python -m deploy.tables --check    exit code 1 where one is not what the code says

A table stands between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hoga.domain.status import GRADES, TABLE

ROOT = Path(__file__).parent.parent
FACTS = {
    "halted": "orders do not match, or nobody collects the symbol",
    "uncovered": "no live link carries the symbol",
    "doubted": "nothing shows any more that the book is what the exchange has",
    "current": "none of these",
}


def status_table() -> str:
    """The state that is published, by the strongest fact and the grade of the published stream."""
    names = " | ".join(f"`{grade.name}`" for grade in GRADES)
    rows = [f"| fact, the strongest first | {names} |", "|---|" + "---|" * len(GRADES)]
    for fact, states in TABLE.items():
        cells = " | ".join(f"`{state.name}`" for state in states)
        rows.append(f"| **{fact}**: {FACTS[fact]} | {cells} |")
    return "\n".join(rows)


TABLES = {"status": (ROOT / "docs/trust.md", status_table)}


def main(arguments: list[str]) -> int:
    wrong = 0
    for name, (path, table) in TABLES.items():
        text = path.read_text()
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not opening or not closing:
            sys.exit(f"{path} has no place for the table {name!r}: <!-- {name} --> … <!-- /{name} -->")
        made = f"{before}{opening}{table()}\n{closing}{after}"
        if "--check" not in arguments:
            path.write_text(made)
        elif made != text:
            wrong += 1
            sys.stderr.write(f"{path}: the table {name!r} is not what the code says; write it with: make tables\n")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
