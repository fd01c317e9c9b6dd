"""The native reader and book under AddressSanitizer and UBSan; skipped where no compiler has them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "native"
FLAGS = ["-std=c++17", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def test_hostile_bytes_break_no_rule_of_the_book_and_touch_no_foreign_memory(tmp_path: Path) -> None:
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        pytest.skip("no C++ compiler")
    program, probe = tmp_path / "fuzz", tmp_path / "probe.cpp"
    probe.write_text("int main() { return 0; }\n")
    if subprocess.run([compiler, *SANITIZERS, probe, "-o", program], capture_output=True).returncode:
        pytest.skip(f"{compiler} has no sanitizers")
    sources = [f"-I{NATIVE / 'include'}", NATIVE / "fuzz" / "fuzz.cpp"]
    built = subprocess.run([compiler, *FLAGS, *SANITIZERS, *sources, "-o", program], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    # detect_leaks needs ptrace, which a container may refuse; a leak is no foreign memory.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    ran = subprocess.run([program, "2026", "20000"], capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "20000 inputs" in ran.stdout
