"""Which tree a report is about."""

from __future__ import annotations

import subprocess


def revision() -> str:
    """The commit that runs, and whether anything was changed since."""
    try:
        said = [
            subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.CalledProcessError):
        return "not under version control"
    return said[0] + (" with changes" if said[1] else "")
