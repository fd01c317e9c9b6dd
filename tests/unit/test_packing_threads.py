"""Packing in several threads at once, as the aggregator reads listings: in a process of its own, for what goes wrong
there ends the process."""

from __future__ import annotations

import subprocess
import sys

WORK = """
import os, random
from concurrent.futures import ThreadPoolExecutor
from hoga.wire import packing

bodies = [random.Random(n).randbytes(3000) * 200 for n in range(8)]
packed = [packing.compress(body) for body in bodies]

def work(number):
    for turn in range(150):
        place = (number + turn) % len(bodies)
        assert packing.decompress(packed[place]) == bodies[place]
        assert packing.decompress(packing.compress(bodies[place][:70000])) == bodies[place][:70000]

with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, range(8)))
"""


def test_threads_do_not_share_the_contexts_of_the_library() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
