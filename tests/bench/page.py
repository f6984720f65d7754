"""Puts what bench.py measured into docs/figures.md: `python3 tests/bench/page.py build/bench/results.json` prints the tables,
with --write also puts each section between its marks and draws docs/figures.svg. A section of which nothing was measured
stays as it is. Several files are taken as one: what was measured with --only at different times, on one machine.
"""

import json
import sys
from pathlib import Path

import crowd
import model
import plot

PAGE, PICTURE = Path("docs/figures.md"), Path("docs/figures.svg")
SECTIONS = {"proxies": (plot.PARTS, plot.tables), "fanout": (["fanout"], crowd.fanout_tables),
            "storm": (["storm"], crowd.storm_tables), "stay": (["stay"], crowd.stay_tables),
            "model": (["model"], model.tables)}


def conditions(results):
    m, plan = results["machine"], results["plan"]
    workers = f", {plan['workers']} workers" if plan["workers"] > 1 else ""
    return (f"- {m['cores']} cores of {m['processor']}{', a virtual machine' if m['virtual'] else ''}; Linux {m['kernel']}; "
            + ", ".join(m["versions"]) + f"{workers}.\n"
            f"- {plan['rounds']} rounds; load average {m['load_before']} before, {m['load_after']} after; {m['minutes']} minutes.")


def measured(results):
    """(name, text) of each section of which something was measured."""
    for name, (parts, tables) in SECTIONS.items():
        if any(r["what"] in parts for r in results["rows"]):
            yield name, tables(results)


def tables(results):
    return conditions(results) + "\n\n" + "\n\n".join(text for _, text in measured(results))


def put(page, name, text):
    begin, end = f"<!-- measured: {name} -->\n", f"<!-- measured: end of {name} -->"
    before, rest = page.split(begin)
    return before + begin + text + "\n" + end + rest.split(end)[1]


def write(results):
    page = PAGE.read_text()
    for name, text in measured(results):
        page = put(page, name, conditions(results) + "\n" + text)
    PAGE.write_text(page)
    if plot.names(results["rows"], "cpu"):
        PICTURE.write_text(plot.picture(results["rows"]))


def main():
    results, *more = (json.loads(Path(name).read_text()) for name in sys.argv[1:] if not name.startswith("--"))
    for other in more:
        results["rows"] += other["rows"]
    print(tables(results))
    if "--write" in sys.argv:
        write(results)


if __name__ == "__main__":
    main()
