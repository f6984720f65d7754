"""Tables and the picture of the comparison with proxies, and what other tables are made with.

A figure is the median of its rounds, with the smallest and the largest behind it. A ratio is taken within a round.
"""

from statistics import median
from xml.sax.saxutils import escape

PARTS = ["cpu", "latency", "first", "memory", "calls", "instructions"]
HELD_UP_MS = 20  # of a run that counts as disturbed


def names(rows, what):
    return list(dict.fromkeys(r["who"] for r in sorted(rows, key=lambda r: r.get("round", 0)) if r["what"] == what))


def values(rows, key, **where):
    return [r[key] for r in rows if key in r and all(r.get(k) == v for k, v in where.items())]


def spread(of, form):
    if not of:
        return "–"
    middle = form.format(median(of))
    return middle if len(of) == 1 else f"{middle} ({form.format(min(of))}–{form.format(max(of))})"


def floor_of(rows):
    return next((r["who"] for r in rows if "floor" in r["who"]), None)


def ratios(rows, who, streams=None):
    """Of CPU for each event to the floor's in the same round; pooled over all levels when none is named."""
    floor, found = floor_of(rows), []
    for number in sorted({r["round"] for r in rows if r["what"] == "cpu"}):
        where = dict(what="cpu", round=number) | ({"streams": streams} if streams else {})
        mine, its = values(rows, "cpu_us", who=who, **where), values(rows, "cpu_us", who=floor, **where)
        if mine and len(mine) == len(its):
            found.append(sum(mine) / sum(its))
    return found


def table(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(l) + " |" for l in lines)])


def cpu_table(rows, levels):
    head = ["proxy", *(f"{n:,} streams, µs" for n in levels), *(f"{n:,}, × floor" for n in levels), "pooled, × floor"]
    lines = [[who, *(spread(values(rows, "cpu_us", what="cpu", who=who, streams=n), "{:.1f}") for n in levels),
              *(spread(ratios(rows, who, n), "{:.2f}") for n in levels), spread(ratios(rows, who), "{:.2f}")]
             for who in names(rows, "cpu")]
    return "CPU time for each event, user and kernel\n\n" + table(head, lines)


def added(rows, what, who, key):
    """Over going direct in the same round."""
    direct = {r["round"]: r[key] for r in rows if r["what"] == what and r["who"] == "direct" and key in r}
    return [r[key] - direct[r["round"]] for r in rows
            if r["what"] == what and r["who"] == who and key in r and r["round"] in direct]


def latency_table(rows, streams):
    head = ["proxy", "event, p50 µs", "added p50", "event, p99 µs", "added p99", "first event, p50 µs", "added p50"]
    every = [n for n in dict.fromkeys([*names(rows, "latency"), *names(rows, "first")])]
    lines = []
    for who in ["direct", *(n for n in every if n != "direct")]:
        line = [who]
        for what, key in (("latency", "p50_us"), ("latency", "p99_us"), ("first", "p50_us")):
            line.append(spread(values(rows, key, what=what, who=who), "{:.0f}"))
            line.append("" if who == "direct" else spread(added(rows, what, who, key), "{:.0f}"))
        lines.append(line)
    return f"Latency of an event with {streams:,} streams, and of an answer's first event with one\n\n" + table(head, lines)


def once_table(rows):
    every = list(dict.fromkeys([*names(rows, "calls"), *names(rows, "instructions"), *names(rows, "memory")]))
    by = next(iter(values(rows, "by", what="calls")), "")
    how = {"strace": "system calls an event (50 streams)"}.get(by, "system calls an event (500 streams)")
    lines = []
    for who in every:
        calls, count = values(rows, "calls", who=who), values(rows, "instructions", who=who)
        size = values(rows, "bytes", what="memory", who=who)
        lines.append([who, spread(calls, "{:.2f}"), spread(count, "{:,.0f}"), spread([b / 1024 for b in size], "{:.1f}")])
    return "Counts\n\n" + table(["proxy", how, "user instructions an event", "KiB an open idle stream"], lines)


def disturbed(rows):
    """A line on the timed runs, if there were any."""
    timed = [r for r in rows if "held_up_ms" in r]
    count = sum(r["held_up_ms"] > HELD_UP_MS for r in timed)
    return [f"- {count} of {len(timed)} timed runs were disturbed: other work kept the load generator from its core "
            f"for more than {HELD_UP_MS} ms in each of {max(r['tries'] for r in timed)} tries."] if timed else []


def failed(rows):
    return [f"- Failed: {r['who']} ({r['what']}{', %d streams' % r['streams'] if 'streams' in r else ''}): {r['error']}."
            for r in rows if "error" in r and "under valgrind" not in r["error"]]


def tables(results):
    rows, plan, parts = results["rows"], results["plan"], []
    timed = [f"- Timed runs take {plan['seconds']} s after {plan['warm']} s of warming."]
    missing = [f"- Not measured, because it is not on this machine: {', '.join(results['missing'])}."] if results["missing"] else []
    mine = [r for r in rows if r["what"] in PARTS]
    parts.append("\n".join(timed + missing + disturbed(mine) + failed(mine)))
    if names(rows, "cpu"):
        parts.append(cpu_table(rows, plan["levels"]))
    if names(rows, "latency") or names(rows, "first"):
        parts.append(latency_table(rows, plan["latency_streams"]))
    if any(names(rows, what) for what in ("calls", "instructions", "memory")):
        parts.append(once_table(rows))
    return "\n\n".join(part for part in parts if part)


class Drawing:
    """Panels of horizontal bars, one under the other."""
    WIDTH, LEFT, RIGHT, ROW, TITLE = 760, 190, 110, 22, 46

    def __init__(self):
        self.parts, self.height = [], 10

    def text(self, x, y, words, style):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(words)}</text>')

    def panel(self, title, bars, form):
        """bars: (name, middle, smallest, largest)."""
        bars = [b for b in bars if b[1] is not None]
        if not bars:
            return
        scale = (self.WIDTH - self.LEFT - self.RIGHT) / max(b[3] for b in bars)
        self.text(10, self.height + 24, title, "title")
        y = self.height + self.TITLE - 10
        for name, middle, low, high in bars:
            kind = "ours" if name.startswith("lastword") else "floor" if "floor" in name else "other"
            self.text(self.LEFT - 8, y + 14, name, "name")
            self.parts.append(f'<rect x="{self.LEFT}" y="{y + 3}" width="{middle * scale:.1f}" height="14" class="{kind}"/>')
            if high > low:
                self.parts.append(f'<path d="M{self.LEFT + low * scale:.1f} {y + 10}H{self.LEFT + high * scale:.1f}" class="spread"/>')
            self.text(self.LEFT + high * scale + 6, y + 14, form.format(middle), "value")
            y += self.ROW
        self.height = y + 8

    def whole(self):
        style = ("text{font:13px system-ui,sans-serif;fill:#222}.title{font-weight:600}.name{text-anchor:end}.value{fill:#555}"
                 ".ours{fill:#2b6cb0}.floor{fill:#b0b7bf}.other{fill:#d8a657}.spread{stroke:#222;stroke-width:1.5}")
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.WIDTH} {self.height}" role="img" aria-label="Figures">'
        return "\n".join([head, f"<style>{style}</style>", f'<rect width="{self.WIDTH}" height="{self.height}" fill="#fff"/>',
                          *self.parts, "</svg>\n"])


def bar(name, of):
    return (name, median(of), min(of), max(of)) if of else (name, None, 0, 0)


def picture(rows):
    d = Drawing()
    d.panel("CPU time for each event, × the bare relay of the same round", [bar(n, ratios(rows, n)) for n in names(rows, "cpu")], "{:.2f}")
    d.panel("Added latency of an event, p50, µs", [bar(n, [max(0, v) for v in added(rows, "latency", n, "p50_us")])
                                                  for n in names(rows, "latency") if n != "direct"], "{:.0f}")
    d.panel("System calls for each event", [bar(n, values(rows, "calls", who=n)) for n in names(rows, "calls")], "{:.2f}")
    d.panel("User instructions for each event", [bar(n, values(rows, "instructions", who=n)) for n in names(rows, "instructions")], "{:,.0f}")
    d.panel("KiB for each open idle stream", [bar(n, [max(0, v / 1024) for v in values(rows, "bytes", what="memory", who=n)])
                                              for n in names(rows, "memory")], "{:.1f}")
    return d.whole()
