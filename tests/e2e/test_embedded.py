"""The gateway with the model that it starts, watches and starts again. Real model, real child process."""

import json
import os
import signal
import subprocess

import pytest
from gateway import ROOT, Gateway, binary
from model_fixture import ENDLESS, MODEL, message, wait_until

SMALL = f"model: {{ file: '{MODEL}', context: 512, slots: 1, queue: 4, threads: 1 }}\nlisten: 127.0.0.1:0\nadmin: none"


@pytest.fixture
def gateway(tmp_path):
    gateway = Gateway(SMALL, tmp_path).start()
    yield gateway
    if gateway.process.poll() is None:
        gateway.stop()


def child_of(gateway):
    """The pid of the model server that it runs now."""
    children = [json.loads(line)["pid"] for line in gateway.stderr.splitlines() if '"event":"model_started"' in line]
    return children[-1] if children else None


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie is dead, though nobody has asked how it died.
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"


class Answer:
    """A stream of the page, over curl: simple, and not our own client."""

    def __init__(self, gateway, path, body):
        host, port = gateway.address
        command = ["curl", "-sN", f"http://{host}:{port}{path}", "-H", "Content-Type: application/json", "-d", json.dumps(body)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.said = ""

    def read_until(self, words):
        while words not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line
        return self

    def rest(self):
        self.said += self.process.stdout.read()
        self.process.wait()
        return self.said

    def cut(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def page(gateway, text, **members):
    return Answer(gateway, "/sse-proxy", {"messages": message(text), **members})


def test_the_page_gets_a_whole_answer(gateway):
    said = page(gateway, "What is the capital of France?", temperature=0).rest()
    assert "Paris" in said and "event: close" in said and '"proof":"marker"' in said and '"finish":"stop"' in said


def test_an_sdk_gets_its_own_dialect(gateway):
    said = Answer(gateway, "/v1/chat/completions", {"messages": message("Hi"), "stream": True, "max_tokens": 3}).rest()
    assert said.endswith("data: [DONE]\n\n") and '"role":"assistant"' in said


def test_who_waits_is_told_and_then_served(gateway):
    running = page(gateway, "Tell a story.", **ENDLESS).read_until("data: ")
    waiting = page(gateway, "Hi", temperature=0, max_tokens=3).read_until('event: progress\ndata: {"queue":1}\n')
    assert "id:" in waiting.said and ".1\n" not in waiting.said
    assert "event: close" in running.rest()
    assert "event: close" in waiting.rest()


def test_a_model_that_dies_is_told_and_started_again(gateway):
    running = page(gateway, "Tell a story.", **ENDLESS).read_until("\ndata: ")
    waiting = page(gateway, "Hi", temperature=0, max_tokens=3).read_until('data: {"queue":1}\n')
    first = child_of(gateway)
    os.kill(first, signal.SIGKILL)
    for said in (running.rest(), waiting.rest()):
        assert "event: failed" in said and "event: close" not in said
        assert json.loads(said.rsplit("data: ", 1)[1])["cause"] in ("cut", "truncated")
    # Who asks while there is no child waits in its socket.
    assert "event: close" in page(gateway, "Hi", temperature=0, max_tokens=3).rest()
    assert child_of(gateway) != first
    assert '"event":"model_died"' in gateway.stderr and '"signal":"Killed"' in gateway.stderr


def test_a_drain_lets_the_model_finish_and_leaves_no_child(gateway):
    running = page(gateway, "Tell a story.", **ENDLESS | {"max_tokens": 30}).read_until("\ndata: ")
    child = child_of(gateway)
    gateway.process.terminate()
    assert '"finish":"length"' in running.rest()
    gateway.process.wait()
    assert not is_alive(child)


def test_a_killed_gateway_leaves_no_child(gateway):
    page(gateway, "Hi", max_tokens=1).rest()
    child = child_of(gateway)
    gateway.kill()
    wait_until(lambda: not is_alive(child))


def test_no_model_file_is_1_and_says_how_to_get_one(tmp_path):
    command = [str(binary()), "--listen", "127.0.0.1:0", "--admin", "none", "--model", str(tmp_path / "none.gguf")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert said.returncode == 1 and "make model" in said.stderr


def test_a_child_that_cannot_start_is_tried_again_less_and_less_often(tmp_path):
    (tmp_path / "bad.gguf").write_bytes(b"no model")
    gateway = Gateway(SMALL.replace(str(MODEL), str(tmp_path / "bad.gguf")), tmp_path).start()
    deaths = lambda: [json.loads(line) for line in gateway.stderr.splitlines() if '"event":"model_died"' in line]
    wait_until(lambda: len(deaths()) >= 3)
    assert [death["next_in_ms"] for death in deaths()[:3]] == [100, 200, 400]
    assert all(death["status"] == 2 for death in deaths()[:3])
    assert "no GGUF" in gateway.stderr
    gateway.stop()
