#!/usr/bin/env python3
"""Official clients x faults of a model server, directly and through lastword: what does each client tell its user?

    tests/sdk/matrix.py [--half directly|through] [--client WORD] [--verbose] [--write]

A whole answer must be whole in every client, and through lastword every fault must be told: raised or handed over as an
error, in the right words, after all of the text that came before it. Whether that holds is the exit status. Of faults that a client meets
directly nothing is demanded: that half of the table shows why a gateway is needed. report.py has the signs.

A program of clients is a process that is told its cells line by line (cell.py, cell.mjs). Between what a client said and the
verdict nothing interprets.
"""

import argparse
import concurrent.futures
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from speech import DIALECTS, FAULTS, WHOLE  # noqa: E402
from clients import CLIENTS, HERE  # noqa: E402
from model_server import ModelServer  # noqa: E402

import programs  # noqa: E402
import report  # noqa: E402
from gateway import Gateway  # noqa: E402

PATIENCE = 60          # s; whoever ends at all has ended by then
ENOUGH_OF_SILENCE = 2  # s; directly nothing ends a silence

PROGRAMS_AT_ONCE = 4   # each uses one processor at first, and then mostly waits

CONFIG = """
listen: 127.0.0.1:0
admin: none
drain: 0
heartbeat: 100ms
routes:
"""


def config(upstream):
    """One route for each dialect, as an operator writes it; and one with a short clock, for its silences."""
    return CONFIG + "\n".join(
        f"  - {{ path: /{path}/*, kind: passthrough, upstream: '{upstream}/{path}', dialect: {name}, auth: client{clock} }}"
        for name in DIALECTS for path, clock in ((f"{name}/silence", ", idle: 300ms"), (name, "")))


def cells(client):
    dialect = DIALECTS[client.dialect]
    return [fault for fault in FAULTS.values() if fault.can(dialect)]


def questions(clients, url, patience, faults):
    for client in clients:
        for fault in cells(client):
            if fault.name in faults:
                yield {"client": client.name, "fault": fault.name, "url": f"{url}/{client.dialect}/{fault.name}",
                       "wait": patience if fault.name == "silence" else PATIENCE}


def run_program(program, clients, url, patience=PATIENCE, faults=FAULTS):
    """Asks one program its cells; {(client, fault): answer}."""
    asked = list(questions(clients, url, patience, faults))
    lines = "".join(json.dumps(cell) + "\n" for cell in asked)
    ended = programs.run(HERE / program, lines)
    answers = {(line["client"], line["fault"]): line for line in map(json.loads, ended.stdout.splitlines())}
    assert len(answers) == len(asked), f"{program} answered {len(answers)} of {len(asked)}\n{ended.stdout}\n{ended.stderr}"
    return answers


def run(url, clients, patience):
    programs = {}
    for client in clients:
        programs.setdefault(client.program, []).append(client)
    answers = {}
    with concurrent.futures.ThreadPoolExecutor(PROGRAMS_AT_ONCE) as pool:
        for some in pool.map(lambda item: run_program(*item, url, patience), programs.items()):
            answers |= some
    return answers


def run_direct(clients):
    with ModelServer() as server:
        return run(server.url, clients, ENOUGH_OF_SILENCE)


@contextlib.contextmanager
def through_lastword():
    """The model server, and the URL of a gateway before it."""
    with ModelServer() as server, tempfile.TemporaryDirectory() as directory, Gateway(config(server.url), directory) as gateway:
        yield server, "http://%s:%d" % gateway.address


def run_through(clients):
    with through_lastword() as (_, url):
        return run(url, clients, PATIENCE)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--half", default="", choices=["directly", "through"], help="only that half")
    options.add_argument("--client", default="", help="only clients with this word in their name")
    options.add_argument("--verbose", action="store_true", help="what each client said")
    options.add_argument("--write", action="store_true", help="put both halves into docs/sdks.md")
    args = options.parse_args()
    if args.write and (args.half or args.client):
        options.error("--write needs the whole table")
    clients = [client for client in CLIENTS.values() if args.client in client.name]
    halves = {half: make for half, make in (("directly", run_direct), ("through lastword", run_through))
              if args.half in half}
    answers = {}
    for half, make in halves.items():
        began = time.monotonic()
        answers[half] = make(clients)
        print(f"\n{half}\n\n{report.signs(answers[half], clients)}\n\n{report.count(answers[half])}; {time.monotonic() - began:.0f} s")
        if args.verbose:
            print(*(f"{report.sign(said)} {json.dumps(said, ensure_ascii=False)}" for said in answers[half].values()), sep="\n")
    wrong = [f"wrong: {half}, {client}, {fault}: {why}" for half in answers for (client, fault), said in answers[half].items()
             if (fault in WHOLE or half != "directly") and (why := report.complaint(said))]
    print(*wrong, sep="\n")
    if args.write and not wrong:
        report.write(answers["directly"], answers["through lastword"])
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
