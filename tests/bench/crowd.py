"""Many viewers: one generation read by a thousand, thousands that come back at once, thousands that stay.

Fan-out: the CPU time of an event that one viewer has read, beside the bare relay's, which carries as many events to as
many clients from as many streams, and beside the bare fan-out's, which is what a send for each event and viewer costs.
What a gateway reads, judges and journals once, it spends on all of them together.

Storm: all viewers of one stream, or of many, are cut off at once and come back spread over a second, as EventSource
does after `retry: 1000`; the streams go on meanwhile. Each asks for its stream behind what it has read, and is back when
it has everything that was sent before it asked. The generator ends with an error if an event is lost or doubled, an
answer has no last word, or the upstream is asked more than once for a stream.

Stay: as many streams as one machine's descriptors allow, held open for minutes, an event a second on each. The same
checks, and the figure is that nothing happened.
"""

from generator import RATE, load, pids_with_kernel, undisturbed
from plot import disturbed, failed, floor_of, names, spread, table, values
from proxies import ALL, FAN, Proxy

STORM_RATE = 2  # events/s of each stream: a viewer that is away for a second misses some
STAY_WARM = 5  # events of each stream
STORM_WARM, STORM_BEHIND = 3, 3  # events of each stream, before and behind the storm


@undisturbed
def measure_fanout(plan, contender):
    streams = plan["viewers"] if contender is ALL[0] else 1
    with Proxy(contender) as proxy:
        return load("pace", proxy, contender, "--streams", streams, "--viewers", plan["viewers"],
                    "--warm", int(plan["warm"] * RATE), "--events", int((plan["warm"] + plan["seconds"]) * RATE), *pids_with_kernel(proxy))[0]


@undisturbed
def measure_storm(plan, contender, streams):
    with Proxy(contender) as proxy:
        return load("storm", proxy, contender, "--streams", streams, "--viewers", plan["storm"], "--warm", STORM_WARM,
                    "--events", STORM_BEHIND, "--rate", STORM_RATE, *pids_with_kernel(proxy))[0]


def measure_stay(plan, contender):
    with Proxy(contender) as proxy:
        return load("pace", proxy, contender, "--streams", plan["stay"], "--rate", 1, "--warm", STAY_WARM,
                    "--events", STAY_WARM + plan["stay_seconds"], *pids_with_kernel(proxy))[0]


def journaled(contenders):
    return [c for c in contenders if "event: close" in c.ask]


def run_fanout(plan, results, contenders):
    crowd = [ALL[0], FAN, *journaled(contenders)]
    for number in range(plan["rounds"]):
        at = number % len(crowd)
        for c in crowd[at:] + crowd[:at]:
            results.take("fanout", c.name, measure_fanout, plan, c, viewers=plan["viewers"], round=number)


def run_storm(plan, results, contenders):
    for number in range(plan["rounds"]):
        for streams in plan["storm_streams"]:
            for c in journaled(contenders):
                results.take("storm", c.name, measure_storm, plan, c, streams, streams=streams, viewers=plan["storm"], round=number)


def run_stay(plan, results, contenders):
    for c in journaled(contenders)[:1]:
        results.take("stay", c.name, measure_stay, plan, c, streams=plan["stay"], seconds_held=plan["stay_seconds"])


def ratios(rows, who, to):
    found = []
    for number in sorted({r["round"] for r in rows}):
        mine, its = values(rows, "cpu_us", who=who, round=number), values(rows, "cpu_us", who=to, round=number)
        found += [m / i for m, i in zip(mine, its)]
    return found


def fanout_tables(results):
    rows = [r for r in results["rows"] if r["what"] == "fanout"]
    head = ["proxy", "CPU for each event of a viewer, µs", "× floor", "× bare fan-out", "latency, p50 ms", "p99 ms"]
    lines = [[who, spread(values(rows, "cpu_us", who=who), "{:.1f}"), spread(ratios(rows, who, floor_of(rows)), "{:.2f}"),
              spread(ratios(rows, who, FAN.name), "{:.2f}"),
              *(spread([us / 1000 for us in values(rows, key, who=who)], "{:.1f}") for key in ("p50_us", "p99_us"))]
             for who in names(rows, "fanout")]
    timed = [f"- Runs take {results['plan']['seconds']} s after {results['plan']['warm']} s of warming."]
    return "\n".join(timed + disturbed(rows) + failed(rows)) + (
        f"\n\nOne stream of {RATE} events a second, read by {rows[0]['viewers']:,} viewers\n\n" + table(head, lines))


def storm_tables(results):
    rows = [r for r in results["rows"] if r["what"] == "storm"]
    head = ["proxy", "streams", "all back, s", "one viewer, p50 ms", "p99 ms", "longest, ms", "CPU, s", "upstream requests"]
    lines = []
    for who in names(rows, "storm"):
        for streams in results["plan"]["storm_streams"]:
            mine = [r for r in rows if r["who"] == who and r["streams"] == streams]
            times = [spread([us / 1000 for us in values(mine, key)], "{:.1f}") for key in ("p50_us", "p99_us", "max_us")]
            lines.append([who, f"{streams:,}", spread(values(mine, "back_s"), "{:.2f}"), *times,
                          spread(values(mine, "cpu_s"), "{:.2f}"), spread(values(mine, "requests"), "{:,.0f}")])
    return "\n".join(disturbed(rows) + failed(rows)) + (
        f"\n\n{rows[0]['viewers']:,} viewers, cut off at once, come back within a second\n\n" + table(head, lines))


def stay_tables(results):
    rows = [r for r in results["rows"] if r["what"] == "stay"]
    head = ["proxy", "streams", "minutes", "events", "lost or doubled", "CPU, of one core", "latency, p50 ms", "p99 ms"]
    lines = [[r["who"], f"{r['streams']:,}", f"{r['seconds'] / 60:.0f}", f"{r['events']:,}", "0",
              f"{r['cpu_us'] * r['events'] / r['seconds'] / 1e4:.0f} %", *(f"{r[key] / 1000:.1f}" for key in ("p50_us", "p99_us"))]
             for r in rows if "error" not in r]
    return "\n".join(failed(rows)) + "\n\nStreams that stay open, an event a second on each\n\n" + table(head, lines)
