"""Runs the cells of the table that belong to one program of clients.

The runner writes one question a line on standard input, {"client", "fault", "url", "wait"}, and reads one answer a line:
what the client told whoever uses it. A client is a function that asks at `url` and notes in a Said what it is told, as a
program would that shows an answer; an exception that leaves it is what the program would get. Nothing here knows what is
right.
"""

import json
import os
import sys
import threading
from dataclasses import dataclass


@dataclass
class Said:
    text: str = ""
    finish: str | None = None


def run(clients):
    for line in sys.stdin:
        cell = json.loads(line)
        answer = ask(clients[cell["client"]], cell["url"], cell["wait"])
        print(json.dumps({"client": cell["client"], "fault": cell["fault"], **answer}), flush=True)
    os._exit(0)  # a client that still waits is left behind


def ask(client, url, wait):
    said, answer = Said(), {"part": None, "raised": None, "hangs": True}

    def use():
        try:
            client(url, said)
        except Exception as error:
            answer["raised"] = f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}: {error}"
        answer["hangs"] = False

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(wait)
    return {**answer, "text": said.text, "finish": said.finish and str(said.finish)}
