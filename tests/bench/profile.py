#!/usr/bin/env python3
"""Where the user instructions of an event go: the table of docs/figures.md, by the file that they are in.

    python3 tests/bench/profile.py

Counted as `bench.py --only instructions` counts, as the difference of two lengths, so that start and end cancel out.
"""

import re
import subprocess
from collections import Counter

import bench
from proxies import ALL, BUILD, LASTWORD

ROOMS = [
    ("libuv: a turn, poll, read and write dispatch", r"libuv"),
    ("libc: copying and searching memory", r"mem(cpy|chr|cmp|move)|strlen|string_fortified"),
    ("libc: system call wrappers, clocks, the rest", r"libc\.so|sysdeps|nptl"),
    ("CRC-32", r"libdeflate"),
    ("vectors: walks over text of base/, sse/ and json/", r"emmintrin"),
    ("base/", r"src/base/"), ("http/", r"src/http/"), ("sse/", r"src/sse/"), ("json/", r"src/json/"), ("dialect/", r"src/dialect/"),
    ("stream/", r"src/stream/"), ("net/", r"src/net/"), ("server/", r"src/server/"), ("upstream/", r"src/upstream/"),
    ("gateway/", r"src/gateway/"), ("the rest", r""),
]


def counted(contender, events):
    bench.instructions(contender, events)
    listing = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", str(BUILD / "callgrind.out")], capture_output=True, text=True).stdout
    rooms = Counter()
    for count, where in re.findall(r"^ *([\d,]+) \([ \d.]+%\)  (\S.*)$", listing, re.M):
        if "PROGRAM TOTALS" not in where:
            rooms[next(name for name, words in ROOMS if re.search(words, where))] += int(count.replace(",", ""))
    return rooms


def main():
    short, long = bench.FULL["steps"]
    table = []
    for contender in (c for c in ALL if c.program == str(LASTWORD)):
        more, less = counted(contender, long), counted(contender, short)
        table.append({name: (more[name] - less[name]) / (long - short) for name, _ in ROOMS})
    print("| where | text | openai-chat | passthrough |\n|---|---|---|---|")
    for name, _ in ROOMS:
        print(f"| {name} | " + " | ".join(f"{column[name]:,.0f}" for column in table) + " |")
    print("| all | " + " | ".join(f"{sum(column.values()):,.0f}" for column in table) + " |")


if __name__ == "__main__":
    main()
