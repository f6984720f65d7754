"""Measures what an event costs on its way through a proxy: `make bench`, or `make bench ARGS=--quick` for some minutes.

Every figure is taken in rounds in which all contenders take their turn, in an order that moves on from round to round,
and is compared with the bare relay of the same round, because a machine's speed changes while it is measured. Each
measurement starts its proxy anew. The load generator (load.c) checks that every event arrived; a contender that loses
one has no figure in that round. Beside what an event costs: many viewers of one stream, a storm of them, and streams
that stay open (crowd.py), the model server beside llama.cpp's own program (model.py). Results go to
build/bench/results.json; page.py makes tables and a picture of them.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import crowd
import model
import page
import proxies
from generator import RATE, load, pace, pids_of, pids_with_kernel, undisturbed
from plot import PARTS
from proxies import ALL, BUILD, LASTWORD, PROXY_CORE, Proxy

FULL = dict(levels=[500, 1000, 2000], rounds=3, seconds=4, warm=1, latency_streams=1000, requests=1000, idle=2000,
            steps=[1000, 6000], calls=[3, 9], viewers=1000, storm=5000, storm_streams=[1, 100, 5000], stay=9000,
            stay_seconds=600, model_streams=[1, 4, 16],
            decoded=128)
QUICK = dict(levels=[500], rounds=2, seconds=1, warm=0.5, latency_streams=500, requests=300, idle=500,
             steps=[200, 700], calls=[1, 2], viewers=500, storm=1000, storm_streams=[1, 1000], stay=1000, stay_seconds=20, model_streams=[1, 4],
             decoded=32)


@undisturbed
def measure_cpu(plan, contender, streams):
    with Proxy(contender) as proxy:
        return pace(plan, proxy, contender, streams, *pids_with_kernel(proxy))


@undisturbed
def measure_latency(plan, contender):
    with Proxy(contender or ALL[0]) as proxy:
        return pace(plan, proxy, contender, plan["latency_streams"], "--tick-us", 0)


def measure_first(plan, contender):
    with Proxy(contender or ALL[0]) as proxy:
        return load("first", proxy, contender, "--warm", 50, "--events", plan["requests"])[0]


def measure_memory(plan, contender):
    with Proxy(contender) as proxy:
        return load("memory", proxy, contender, "--streams", plan["idle"], *pids_of(proxy))[0]


def perf_counts_calls():
    probe = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"]
    return shutil.which("perf") and subprocess.run(probe, capture_output=True).returncode == 0


def calls_by_perf(proxy, contender, seconds):
    before = ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", ",".join(map(str, proxy.pids()))]
    done, said = load("pace", proxy, contender, "--streams", 500, "--events", seconds * RATE, before=before)
    return done["events"], int(re.search(r"^(\d+),.*sys_enter", said, re.M)[1])


def calls_by_strace(proxy, contender, seconds):
    """Slows the proxy down; so few streams, which also means fewer events for each epoll_wait."""
    out = BUILD / "strace.out"
    attach = [word for pid in proxy.pids() for word in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-c", "-f", "-U", "name,calls", "-o", str(out), *attach], stderr=subprocess.PIPE, text=True)
    tracer.stderr.readline()  # attached
    try:
        done, _ = load("pace", proxy, contender, "--streams", 50, "--events", seconds * RATE)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()
    return done["events"], int(re.search(r"^total\s+(\d+)|^\s*(\d+)\s+total", out.read_text(), re.M)[0].replace("total", ""))


def measure_calls(plan, contender):
    """Of two lengths the difference, so that opening and ending streams cancel out."""
    count = calls_by_perf if perf_counts_calls() else calls_by_strace
    points = []
    for seconds in plan["calls"]:
        with Proxy(contender) as proxy:
            points.append(count(proxy, contender, seconds))
    (events, calls), (more_events, more_calls) = points
    return {"calls": (more_calls - calls) / (more_events - events), "by": count.__name__.removeprefix("calls_by_")}


def instructions(contender, events):
    out = BUILD / "callgrind.out"
    out.unlink(missing_ok=True)
    with Proxy(contender, ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"], slow=True) as proxy:
        load("steps", proxy, contender, "--streams", 1, "--events", events)
    total = re.search(r"^(?:summary|totals): (\d+)", out.read_text() if out.exists() else "", re.M)
    if not total:
        raise RuntimeError("valgrind left no count")
    return int(total[1])


def measure_instructions(plan, contender):
    if not contender.can_be_slow:
        raise RuntimeError("not run under valgrind")
    short, long = plan["steps"]
    return {"instructions": (instructions(contender, long) - instructions(contender, short)) / (long - short)}


class Results:
    """A list of rows; a row says what was measured, of whom, in which round, and the figures or the error."""

    def __init__(self):
        self.rows = []

    def take(self, what, name, measure, *args, **where):
        row = {"what": what, "who": name, **where}
        try:
            row |= measure(*args)
        except RuntimeError as error:
            row["error"] = str(error)
        self.rows.append(row)
        figures = {k: v for k, v in row.items() if k not in ("what", "who", *where)}
        print(f"{what:13} {name:22} {' '.join(f'{k} {v}' for k, v in (where | figures).items())}", file=sys.stderr)


def turns(contenders, round_number):
    at = round_number % len(contenders)
    return contenders[at:] + contenders[:at]


def run(plan, contenders, wanted):
    results = Results()
    for number in range(plan["rounds"]):
        for streams in plan["levels"] if "cpu" in wanted else []:
            for c in turns(contenders, number):
                results.take("cpu", c.name, measure_cpu, plan, c, streams, streams=streams, round=number)
        for what, measure in (("latency", measure_latency), ("first", measure_first)):
            for c in turns([None, *contenders], number) if what in wanted else []:
                results.take(what, c.name if c else "direct", measure, plan, c, round=number)
    once = (("memory", measure_memory), ("calls", measure_calls), ("instructions", measure_instructions))
    for what, measure in once:
        for c in contenders if what in wanted else []:
            results.take(what, c.name, measure, plan, c)
    if "fanout" in wanted:
        crowd.run_fanout(plan, results, contenders)
    if "storm" in wanted:
        crowd.run_storm(plan, results, contenders)
    if "stay" in wanted:
        crowd.run_stay(plan, results, contenders)
    if "model" in wanted:
        model.run(plan, results)
    return results.rows


def end_by_signal(number, _):
    raise SystemExit(128 + number)  # so that the proxy that runs is ended too


def said_by(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return next((found for found in re.findall(r"\d+\.\d+(?:\.\d+)?", done.stdout + done.stderr)), "?")


def machine():
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    flags = Path("/proc/cpuinfo").read_text()
    versions = [f"{name} {said_by(*command)}" for name, command in (
        ("lastword", (str(LASTWORD), "--version")), ("nginx", ("nginx", "-v")), ("HAProxy", ("haproxy", "-v")), ("Go", ("go", "version")),
        ("gcc", ("cc", "-dumpfullversion")), ("valgrind", ("valgrind", "--version"))) if shutil.which(command[0])]
    return {"processor": processor[1] if processor else os.uname().machine, "cores": os.cpu_count(),
            "virtual": "hypervisor" in flags, "kernel": ".".join(os.uname().release.split(".")[:2]),
            "versions": versions, "load_before": round(os.getloadavg()[0], 2)}


def main():
    all_parts = [*PARTS, "fanout", "storm", "stay", "model"]
    options = argparse.ArgumentParser(description="what an event costs on its way through a proxy")
    options.add_argument("--quick", action="store_true", help="some minutes; figures to look at, not to publish")
    options.add_argument("--rounds", type=int, help="interleaved rounds")
    options.add_argument("--only", default=",".join(all_parts), help="of " + ",".join(all_parts))
    options.add_argument("--who", default="", help="contenders whose names hold this, and the floor")
    options.add_argument("--write", action="store_true", help="put them into docs/figures.md, each part in its place, and draw figures.svg")
    options.add_argument("--workers", type=int, default=1, help="of lastword (1); more than one share all cores but the load's")
    asked = options.parse_args()
    plan = dict(QUICK if asked.quick else FULL) | {"workers": asked.workers}
    plan["rounds"] = asked.rounds or plan["rounds"]
    proxies.WORKERS = asked.workers
    wanted = asked.only.split(",")
    if unknown := set(wanted) - set(all_parts):
        options.error(f"{', '.join(sorted(unknown))}: the parts are {', '.join(all_parts)}")
    if "model" in wanted and not model.is_there():
        options.error("model: build/lastword-model, build/bench/llama-batched-bench or the model is missing; `make bench` makes them")
    if (os.cpu_count() or 1) <= PROXY_CORE:
        raise SystemExit("bench: needs two cores, one for the proxy and one for the load")
    signal.signal(signal.SIGTERM, end_by_signal)
    shutil.copy(os.environ.get("LASTWORD", "build/lastword"), LASTWORD)
    missing = [c.name for c in ALL if not c.is_there()]
    contenders = [c for c in ALL if c.is_there() and (c is ALL[0] or asked.who in c.name)]
    about, begun = machine(), time.monotonic()
    rows = run(plan, contenders, wanted)
    about |= {"load_after": round(os.getloadavg()[0], 2), "minutes": round((time.monotonic() - begun) / 60, 1)}
    results = {"machine": about, "plan": plan, "missing": missing, "rows": rows}
    (BUILD / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(page.tables(results))
    if asked.write:
        page.write(results)


if __name__ == "__main__":
    main()
