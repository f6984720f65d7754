"""The load generator as bench.py calls it: one measurement, one JSON object, or the words with which it gave up."""

import json
import re
import subprocess
from pathlib import Path

from plot import HELD_UP_MS
from proxies import BUILD, LOAD_CORE

RATE = 20
TRIES = 3


def load(mode, proxy, contender, *options, before=()):
    to = proxy.port if contender else proxy.upstream
    command = [*before, str(BUILD / "load"), mode, "--cpu", str(LOAD_CORE), "--listen", str(proxy.upstream), "--to", str(to),
               "--rate", str(RATE), *(contender.ask if contender else []), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        words = re.search(r"^load: (.*)", done.stderr, re.M)
        raise RuntimeError(words[1] if words else f"the load generator ended with {done.returncode}")
    return json.loads(done.stdout), done.stderr


def pids_of(proxy):
    return ["--pids", ",".join(map(str, proxy.pids()))]


def pids_with_kernel(proxy):
    """And the threads in which the kernel delivers packets on its cores, when it does not do so in the sender's name."""
    names = {f"ksoftirqd/{core}" for core in proxy.cores}
    comms = ((int(p.parent.name), p.read_text().strip()) for p in Path("/proc").glob("[0-9]*/comm") if p.exists())
    return ["--pids", ",".join(map(str, [*proxy.pids(), *(pid for pid, name in comms if name in names)]))]


def pace(plan, proxy, contender, streams, *options):
    warm, seconds = plan["warm"], plan["seconds"]
    return load("pace", proxy, contender, "--streams", streams, "--warm", int(warm * RATE),
                "--events", int((warm + seconds) * RATE), *options)[0]


def undisturbed(measure):
    """Again, when the load generator was kept from running, which no proxy can do from its other core. The last try
    counts, whatever it was; how many were disturbed is said with the results."""
    def tried(*args):
        for tries in range(1, TRIES + 1):
            row = measure(*args)
            if row["held_up_ms"] <= HELD_UP_MS:
                break
        return row | {"tries": tries}
    return tried
