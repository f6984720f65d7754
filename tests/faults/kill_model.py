#!/usr/bin/env python3
"""Kills the embedded model server in the middle of its answers, and looks at what the page is told.

    tests/faults/kill_model.py [--runs 100]

Each run: a question, one to eight tokens, kill -9 of lastword-model (the gateway's child, found in /proc). Then the last word
must be failed/cut after every token that came before; the time from the kill to the last word is printed, and more than
250 ms is wrong. The next run is the proof that the next question works; the last question runs to its finish. At the end the
gateway itself is killed, and no process may stay behind.

A child that dies often is started again ever later, after up to 5 s: 100 runs take about nine minutes.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
os.environ.setdefault("E2E_DEADLINE", "60")  # a model thinks longer than a script

from gateway import ROOT, Gateway  # noqa: E402
from judge import LAST_WORDS, tokens_of  # noqa: E402
from upstream import wait_until  # noqa: E402

MODEL = ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"
CONFIG = """
listen: 127.0.0.1:0
admin: none
workers: 1
model: {{ file: '{model}' }}
routes:
  - {{ path: /sse-proxy, upstream: model }}
"""
LIMIT_MS = 250


def children(parent):
    """Process ids of the living children."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            state, above = state_and_parent(int(entry.name))
            if above == parent and state not in "ZX":
                found.append(int(entry.name))
    return found


def state_and_parent(pid):
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


def is_gone(pid):
    return state_and_parent(pid)[0] in "ZX"


def model_of(gateway):
    pids = wait_until(lambda: children(gateway.process.pid), "the model server", within=60)
    assert len(pids) == 1 and "lastword-model" in os.readlink(f"/proc/{pids[0]}/exe"), pids
    return pids[0]


def ask(gateway, tokens, length=400):
    """A viewer that has taken so many tokens of a long answer."""
    viewer = gateway.viewer().watch("/sse-proxy", method="POST", body={"prompt": "Tell me a very long story.", "max_tokens": length})
    viewer.wait(lambda: len(tokens_of(viewer.reader.events)) >= tokens, f"{tokens} tokens")
    return viewer


def kill_once(gateway, tokens):
    """Milliseconds from the kill to the end; None if the model was done before the kill."""
    viewer = ask(gateway, tokens)
    pid = model_of(gateway)
    if any(event.name in LAST_WORDS for event in viewer.reader.events):
        return None
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    verdict = viewer.expect_end("cut", end="failed", side="upstream")
    taken_ms = (time.monotonic() - killed) * 1000
    assert len(verdict.tokens) >= 1
    viewer.cut()
    wait_until(lambda: is_gone(pid), "the killed child to be gone")
    return taken_ms


def run(runs):
    random.seed(1)
    times, wrong = [], 0
    with tempfile.TemporaryDirectory() as directory:
        gateway = Gateway(CONFIG.format(model=MODEL), directory).start()
        try:
            while len(times) + wrong < runs:
                try:
                    ms = kill_once(gateway, random.randint(1, 8))
                except AssertionError:
                    wrong += 1
                    print(f"wrong: {traceback.format_exc()}")
                    continue
                if ms is not None:
                    times.append(ms)
                    print(f"{len(times)}: failed/cut after {ms:.0f} ms", flush=True)
            ask(gateway, 1, length=16).expect_end("finished")
            leave_nothing_behind(gateway)
        finally:
            gateway.kill()
    return times, wrong


def leave_nothing_behind(gateway):
    viewer, pid = ask(gateway, 1), model_of(gateway)
    gateway.kill()
    viewer.expect_broken()
    wait_until(lambda: is_gone(pid), "the orphan to leave")


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--runs", type=int, default=100)
    runs = options.parse_args().runs
    times, wrong = run(runs)
    late = sum(ms > LIMIT_MS for ms in times)
    print(f"{runs} runs, {wrong} wrong, {late} later than {LIMIT_MS} ms, longest {max(times, default=0):.0f} ms; no process left behind")
    return 1 if wrong or late else 0


if __name__ == "__main__":
    sys.exit(main())
