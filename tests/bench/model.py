"""The model server beside llama.cpp's own llama-batched-bench: the same file, libllama, number of threads and core, the
same number of sequences, tokens of prompt and tokens decoded behind them. What is asked is what serving costs: choosing
each token, its text, the frames and HTTP are in lastword-model's time, and in llama-batched-bench's nothing but decoding.

All streams are asked for at once and decoded greedily; the tokens that end an answer are forbidden, so that each goes
on to its last token. Both run on one core, the readers on the other.

	whole	(prompt + decoded tokens) of all streams / time from the requests to the last end
	decode	tokens / s while all streams run: from the last first token to the first end, or the other's decoding alone
	first	until a stream's first token; the other has a first token when it has read all prompts
"""

import http.client
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from statistics import median

from plot import failed, spread, table, values
from proxies import BUILD, PROXY_CORE

SERVER = Path(os.environ.get("LASTWORD", "build/lastword")).parent / "lastword-model"
OTHER = BUILD / "llama-batched-bench"
FILE = Path("build/models/SmolLM2-135M-Instruct.Q4_1.gguf")
OURS, ITS = "lastword-model", "llama-batched-bench"
THREADS = 1
TRIES, BUSY = 3, 0.97  # a run that had less of its core than this was disturbed
ENDS = {"0": -100, "2": -100}  # the tokens that end an answer, in this model
WORDS = "The sea is wide and the wind goes over it from one shore to the other while the birds follow the boats. "


def pinned():
    os.sched_setaffinity(0, {PROXY_CORE})


def is_there():
    return all(path.exists() for path in (SERVER, OTHER, FILE))


class Server:
    def __init__(self, streams, context):
        self.log = open(BUILD / "model.log", "w")
        command = [str(SERVER), "--model", str(FILE), "--listen", "127.0.0.1:0", "--threads", str(THREADS),
                   "--slots", str(streams), "--context", str(context)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, preexec_fn=pinned)
        said = re.search(r"http://([^ ]+):(\d+)$", self.process.stdout.readline().strip())
        if not said:
            raise RuntimeError(f"lastword-model does not start; see {self.log.name}")
        self.address = said[1], int(said[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.log.close()


class Reader(threading.Thread):
    """One stream: when each of its tokens came. A frame with text is a token; the server's own count is the judge."""

    def __init__(self, address, text, tokens):
        super().__init__()
        self.connection = http.client.HTTPConnection(*address, timeout=600)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.body = json.dumps({"messages": [{"role": "user", "content": text}], "stream": True, "temperature": 0,
                                "max_tokens": tokens, "logit_bias": ENDS, "stream_options": {"include_usage": True}})
        self.tokens, self.came, self.usage, self.done, self.ended = tokens, [], {}, False, None

    def run(self):
        self.connection.request("POST", "/v1/chat/completions", self.body, {"Content-Type": "application/json"})
        for line in self.connection.getresponse():
            if b'"delta":{"content":' in line:
                self.came.append(time.monotonic())
            elif line.startswith(b"data: [DONE]"):
                self.done = True
            elif b'"usage":{' in line:
                self.usage = json.loads(line[6:])["usage"]
        self.ended = time.monotonic()
        self.connection.close()

    def check(self):
        if not self.done or self.usage.get("completion_tokens") != self.tokens:
            raise RuntimeError("an answer that is not whole")
        if len(self.came) != self.tokens:
            raise RuntimeError(f"{len(self.came)} frames for {self.tokens} tokens, whose times they should tell")


def prompt(number):
    """About 128 tokens, others for each stream, so that nothing could be shared."""
    return f"{number:03}. " + WORDS * 4


def read_all(server, streams, tokens):
    readers = [Reader(server.address, prompt(n), tokens) for n in range(streams)]
    begun = time.monotonic()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    for reader in readers:
        reader.check()
    return begun, readers


def prompt_tokens():
    with Server(1, 1024) as server:
        return read_all(server, 1, 2)[1][0].usage["prompt_tokens"]


def cpu_s(pid):
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def rounded(**figures):
    return {name: round(figure, 3) for name, figure in figures.items()}


def measure_ours(plan, streams, length):
    decoded = plan["decoded"]
    with Server(streams, length + decoded + 1) as server:
        read_all(server, 1, 8)
        cpu = cpu_s(server.process.pid)
        begun, readers = read_all(server, streams, decoded + 1)  # the first of them comes of the prompt alone
        cpu = cpu_s(server.process.pid) - cpu
    if {r.usage["prompt_tokens"] for r in readers} != {length}:
        raise RuntimeError("prompts of different lengths")
    firsts, ends = [r.came[0] for r in readers], [r.ended for r in readers]
    together = sum(max(firsts) < came < min(ends) for r in readers for came in r.came)
    return rounded(whole=streams * (length + decoded) / (max(ends) - begun), decode=together / (min(ends) - max(firsts)),
                   first_ms=1000 * (median(firsts) - begun), last_first_ms=1000 * (max(firsts) - begun),
                   busy=cpu / (max(ends) - begun))


def own_children_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_its(plan, streams, length):
    decoded = plan["decoded"]
    command = [str(OTHER), "-m", str(FILE), "-c", str(streams * (length + decoded + 1)), "-t", str(THREADS), "-tb", str(THREADS),
               "-npp", str(length), "-ntg", str(decoded), "-npl", str(streams), "--output-format", "jsonl"]
    cpu, begun = own_children_s(), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned)
    busy = (own_children_s() - cpu) / (time.monotonic() - begun)
    said = re.search(r"^\{.*\}$", done.stdout + "\n" + done.stderr, re.M)
    if done.returncode != 0 or not said:
        raise RuntimeError(f"llama-batched-bench ended with {done.returncode}")
    row = json.loads(said[0])
    return rounded(whole=row["speed"], decode=row["speed_tg"], first_ms=1000 * row["t_pp"], last_first_ms=1000 * row["t_pp"], busy=busy)


def undisturbed(measure):
    """Again, when other work kept it from its core; the last try counts."""
    def tried(*args):
        for tries in range(1, TRIES + 1):
            row = measure(*args)
            if row["busy"] >= BUSY:
                break
        return row | {"tries": tries}
    return tried


def run(plan, results):
    length = prompt_tokens()
    pair = [(OURS, undisturbed(measure_ours)), (ITS, undisturbed(measure_its))]
    for number in range(plan["rounds"]):
        for streams in plan["model_streams"]:
            for name, measure in pair if number % 2 == 0 else pair[::-1]:
                results.take("model", name, measure, plan, streams, length, streams=streams, round=number, prompt=length)


def ratios(rows, key, streams, upside_down=False):
    """Within a round; 1 is as fast, less is slower, whatever is counted."""
    found = []
    for number in sorted({r["round"] for r in rows}):
        where = dict(streams=streams, round=number)
        ours, its = values(rows, key, who=OURS, **where), values(rows, key, who=ITS, **where)
        if ours and its:
            found.append(its[0] / ours[0] if upside_down else ours[0] / its[0])
    return found


def tables(results):
    rows, plan = [r for r in results["rows"] if r["what"] == "model"], results["plan"]
    lines = []
    for streams in plan["model_streams"]:
        def cell(key, who, form="{:.0f}"):
            return spread(values(rows, key, who=who, streams=streams), form)
        lines.append([str(streams), cell("decode", OURS), cell("decode", ITS), spread(ratios(rows, "decode", streams), "{:.2f}"),
                      cell("whole", OURS), cell("whole", ITS), spread(ratios(rows, "whole", streams), "{:.2f}"),
                      cell("first_ms", OURS), cell("last_first_ms", OURS), cell("first_ms", ITS),
                      spread(ratios(rows, "last_first_ms", streams, True), "{:.2f}")])
    head = ["streams", "decoding, tokens/s", "llama.cpp's", "×", "prompts and answers, tokens/s", "llama.cpp's", "×",
            "first token, ms", "of the last stream", "llama.cpp's", "×"]
    disturbed = sum(r["busy"] < BUSY for r in rows if "busy" in r)
    said = [f"- {FILE.name}, one thread; prompts of {rows[0]['prompt']} tokens, {plan['decoded']} decoded behind each.",
            f"- {disturbed} of {len(rows)} runs were disturbed: other work kept them from their core for more than "
            f"{100 * (1 - BUSY):.0f} % of the time in each of {TRIES} tries."]
    return "\n".join(said + failed(rows)) + "\n\n" + table(head, lines)
