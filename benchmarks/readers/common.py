"""A pass over frames, timed; what every reader shares."""

import gc
import json
import sys
import time


def run(make):
    """`make(snapshots, reads)` gives (take a frame's text, a look at the newest id of each book)."""
    frames_file, snapshots_file, start, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with open(frames_file) as file:
        frames = [wrapped(line) for line in file if line.strip()]
    with open(snapshots_file) as file:
        snapshots = json.load(file)
    newest = {}
    for frame in frames:
        data = json.loads(frame).get("data", {})
        if data.get("e") == "depthUpdate":
            newest[data["s"]] = data["u"]
    best, right = {}, 0
    for _ in range(repeats):
        for reads in (False, True):
            take, ids = make(snapshots, reads)
            gc.collect()
            for frame in frames[:start]:
                take(frame)
            began = time.process_time()
            for frame in frames[start:]:
                take(frame)
            us = (time.process_time() - began) * 1e6 / (len(frames) - start)
            best[reads] = min(us, best.get(reads, us))
            right = sum(ids().get(native) == seq for native, seq in newest.items())
    print(json.dumps({"us": best[False], "read_us": best[True], "books": right, "of": len(newest)}))


def wrapped(line):
    """A frame as a combined stream sends it: some readers know no other."""
    line = line.strip()
    found = json.loads(line)
    if found.get("e") == "depthUpdate":
        return json.dumps({"stream": found["s"].lower() + "@depth", "data": found}, separators=(",", ":"))
    return line
