"""llama.cpp's own server behind the gateway: every protocol that it speaks, to SDKs and to pages; killed, left, out of tokens,
asked too much, answering twice.

What is right is what the server sent, byte by byte: a tap keeps it on its way to the gateway.
"""

import json
import re
import subprocess
from dataclasses import dataclass

import pytest
from llama_server import LlamaServer, Tap
from gateway import Gateway, binary
from judge import CLEAN, tokens_of
from upstream import wait_until
from viewer import DEADLINE

QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
COMMON = {"stream": True, "temperature": 0, "seed": 1, "id_slot": 0, "cache_prompt": False}
ENDLESS = "Say hello."   # what this model says over and over, until somebody stops it


@dataclass
class Protocol:
    path: str
    dialect: str
    limit: str               # the member that says how many tokens there may be
    stop: str                # its word for an answer that is whole …
    length: str              # … and for one that was cut short
    member: str = "prompt"   # what carries the question
    by_path: bool = True     # what it is can be told by its path

    def ask(self, question=QUESTION):
        """The members that ask."""
        templated = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        forms = {"prompt": templated, "input": question, "messages": [{"role": "user", "content": question}]}
        return {self.member: forms[self.member]}

    def ask_as_page(self, question=QUESTION):
        """A page has a prompt, and knows nothing of messages."""
        return {"prompt": next(iter(self.ask(question).values()))} if self.member == "prompt" else {"prompt": question}


PROTOCOLS = [
    Protocol("/v1/chat/completions", "openai-chat", "max_tokens", "stop", "length", "messages"),
    Protocol("/v1/completions", "openai-completions", "max_tokens", "stop", "length"),
    Protocol("/completion", "llamacpp", "n_predict", "eos", "limit"),
    Protocol("/v1/messages", "anthropic", "max_tokens", "end_turn", "max_tokens", "messages"),
    # It says "completed" of an answer that ran out of tokens, too.
    Protocol("/v1/responses", "openai-responses", "max_output_tokens", "completed", "completed", "input"),
    Protocol("/chat/completions", "openai-chat", "max_tokens", "stop", "length", "messages"),
    Protocol("/completions", "llamacpp", "n_predict", "eos", "limit", by_path=False),
    Protocol("/responses", "openai-responses", "max_output_tokens", "completed", "completed", "input", by_path=False),
]
each = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.path)


@pytest.fixture(scope="module")
def server():
    server = LlamaServer()
    yield server
    server.kill()


def page_route(protocol, url, limit):
    asked = {name: value for name, value in COMMON.items() if name != "stream"} | {protocol.limit: limit}
    dialect = "" if protocol.by_path else f"dialect: {protocol.dialect}, "
    return (f"  - {{ path: /page{protocol.path}/{limit}, upstream: '{url}{protocol.path}', {dialect}grace: 0, "
            f"request: {json.dumps(asked)} }}")


def sdk_route(path, url):
    return f"  - {{ path: {path}, kind: passthrough, upstream: '{url}', grace: 0 }}"


@pytest.fixture
def gateway(server, tmp_path):
    """Everything by way of a tap: server.tap."""
    server.tap = Tap(server.address)
    routes = [page_route(protocol, server.tap.url, limit) for protocol in PROTOCOLS for limit in (40, 4, 2000)]
    routes += [sdk_route(path, server.tap.url) for path in ["/v1/*", "/infill", *[p.path for p in PROTOCOLS if p.path[:4] != "/v1/"]]]
    config = "\n".join(["listen: 127.0.0.1:0", "admin: 127.0.0.1:0", "workers: 1", "retry: 100ms", "routes:", *routes])
    with Gateway(config, tmp_path) as gateway:
        yield gateway
    server.tap.close()
    if server.process.poll() is not None:
        server.start()
    wait_until(lambda: server.busy() == 0, "no slot to compute")


def ask(gateway, protocol, limit=40, question=QUESTION, **more):
    body = protocol.ask(question) | COMMON | {protocol.limit: limit} | more
    return gateway.viewer().ask(protocol.path, method="POST", body=body)


def whole(viewer):
    viewer.wait(lambda: viewer.response.end, "the end of the answer")
    assert (viewer.response.status, viewer.response.end) == (200, CLEAN), viewer.story()
    return bytes(viewer.response.body)


def sent(server):
    return bytes(server.tap.response().body)


def data(body):
    """The JSON of each event."""
    return [json.loads(line[6:]) for line in body.decode().split("\n") if line.startswith("data: {")]


def text_of(event):
    """Read by the servers' documentation, whatever the protocol."""
    if "choices" in event:
        return "".join(c["text"] if "text" in c else c["delta"].get("content") or "" for c in event["choices"] if c.get("index", 0) == 0)
    if event.get("type") == "content_block_delta":
        return event["delta"].get("text", "")
    if "type" in event:
        return event["delta"] if event["type"] == "response.output_text.delta" else ""
    return event.get("content", "")


def texts(body):
    return [text for event in data(body) if (text := text_of(event))]


def state(gateway, viewer):
    """What the gateway says of the answer."""
    id = viewer.response.header("Lastword-Stream")
    return json.loads(gateway.ask(f"/streams/{id}", headers={"Accept": "application/json"}).body)


def expect_finish(gateway, viewer, word):
    found = state(gateway, viewer)
    assert (found["end"], found["cause"], found["finish"], found["proof"]) == ("complete", "finished", word, "marker"), found
    return found


@each
def test_a_good_answer_is_the_servers_bytes(gateway, server, protocol):
    viewer = ask(gateway, protocol)
    assert whole(viewer) == sent(server)
    assert viewer.response.header("Content-Type") == server.tap.response().header("Content-Type")
    assert "".join(texts(sent(server))) == ANSWER
    expect_finish(gateway, viewer, protocol.stop)


@each
def test_an_answer_that_runs_out_of_tokens_says_so(gateway, server, protocol):
    viewer = ask(gateway, protocol, 4)
    assert whole(viewer) == sent(server)
    assert "".join(texts(sent(server))) == "The capital of France"
    expect_finish(gateway, viewer, protocol.length)


@each
def test_a_page_gets_the_same_text(gateway, server, protocol):
    viewer = gateway.viewer().watch(f"/page{protocol.path}/40", method="POST", body=protocol.ask_as_page())
    verdict = viewer.expect_end("finished", finish=protocol.stop, proof="marker")
    assert verdict.tokens == texts(sent(server)) and "".join(verdict.tokens) == ANSWER


@each
def test_a_page_is_told_that_an_answer_ran_out_of_tokens(gateway, server, protocol):
    viewer = gateway.viewer().watch(f"/page{protocol.path}/4", method="POST", body=protocol.ask_as_page())
    assert viewer.expect_end("finished", finish=protocol.length, proof="marker").tokens == texts(sent(server))


ERRORS = {   # by which official clients raise
    "anthropic": (b"event: error\n", lambda said: said["type"] == "error" and said["error"]["type"] == "api_error"),
    "openai-responses": (b"event: error\n", lambda said: said["type"] == "error" and said["error"]["message"] == said["message"]),
}


def expect_error_frame(viewer, protocol, before):
    body = whole(viewer)
    name, is_right = ERRORS.get(protocol.dialect, (b"", lambda said: "choices" not in said and said["error"]["message"]))
    assert body.startswith(before) and re.fullmatch(re.escape(name) + rb"data: [^\n]+\n\n", body[len(before):]), viewer.story()
    assert is_right(json.loads(body[len(before) + len(name) + 6:])), viewer.story()


def wait_texts(viewer, n):
    viewer.wait(lambda: len(re.findall(b"\n\n", bytes(viewer.response.body))) > n, f"{n} events")


def whole_frames(body):
    """What came of a half frame goes no further."""
    return body[:body.rfind(b"\n\n") + 2]


@each
def test_a_killed_server_is_an_error_frame_and_the_next_question_works(gateway, server, protocol):
    viewer = ask(gateway, protocol, 2000, ENDLESS)
    wait_texts(viewer, 10)
    server.kill()
    before = whole_frames(sent(server))
    expect_error_frame(viewer, protocol, before)
    assert state(gateway, viewer)["cause"] == "cut"
    server.start()
    server.tap.answers.clear()
    assert "".join(texts(whole(ask(gateway, protocol)))) == ANSWER


@each
def test_a_page_is_told_that_the_server_was_killed(gateway, server, protocol):
    viewer = gateway.viewer().watch(f"/page{protocol.path}/2000", method="POST", body=protocol.ask_as_page(ENDLESS))
    viewer.wait(lambda: len(tokens_of(viewer.reader.events)) > 5, "some text")
    server.kill()
    verdict = viewer.expect_end("cut", finish=None, proof=None)
    assert verdict.tokens == texts(whole_frames(sent(server)))
    server.start()


@each
def test_leaving_frees_the_slot(gateway, server, protocol):
    viewer = ask(gateway, protocol, 2000, ENDLESS)
    wait_texts(viewer, 5)
    assert server.busy() == 1
    viewer.cut()
    wait_until(lambda: server.busy() == 0, "the slot to be free")
    assert len(data(sent(server))) < 1000


@each
def test_a_prompt_that_is_too_long_is_the_servers_own_error(gateway, server, protocol):
    viewer = ask(gateway, protocol, 4, "word " * 5000)
    viewer.expect_status(400)
    viewer.wait(lambda: viewer.response.end, "the end")
    assert bytes(viewer.response.body) == sent(server) and b"exceed" in sent(server)


@each
def test_lastword_check_finds_each_protocol(server, protocol):
    request = {name: value for name, value in COMMON.items() if name != "stream"} | {protocol.limit: 60}
    dialect = [] if protocol.by_path else ["--dialect", protocol.dialect]
    command = [binary(), "check", *dialect, server.url + protocol.path, "--json", "--timeout", "60s", "--request", json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["dialect"] == protocol.dialect, found


# What only some protocols have.

def test_two_choices_are_whole_when_both_are(gateway, server):
    viewer = ask(gateway, PROTOCOLS[0], n=2, id_slot=-1)
    assert whole(viewer) == sent(server)
    assert {choice["index"] for event in data(sent(server)) for choice in event["choices"]} == {0, 1}
    expect_finish(gateway, viewer, "stop")


@pytest.mark.parametrize("protocol", PROTOCOLS[:3], ids=lambda p: p.path)
def test_usage_progress_and_timings_end_nothing(gateway, server, protocol):
    viewer = ask(gateway, protocol, stream_options={"include_usage": True}, return_progress=True, timings_per_token=True, n_probs=2)
    assert whole(viewer) == sent(server)
    assert "".join(texts(sent(server))) == ANSWER and b"prompt_progress" in sent(server)
    assert expect_finish(gateway, viewer, protocol.stop)["usage"]["completion_tokens"] >= 7


def test_a_word_that_stops_is_a_finish(gateway, server):
    viewer = ask(gateway, PROTOCOLS[2], stop=["France"])
    assert whole(viewer) == sent(server)
    expect_finish(gateway, viewer, "word")


@pytest.mark.parametrize("path, ask", [("/infill", {"input_prefix": "a = 1\n", "input_suffix": "\nb = 2", "n_predict": 4})])
def test_an_unknown_path_is_known_by_its_first_event(gateway, server, path, ask):
    viewer = gateway.viewer().ask(path, method="POST", body=COMMON | ask)
    viewer.wait(lambda: viewer.response.end, "the end of the answer")
    assert bytes(viewer.response.body) == sent(server)


@each
def test_an_answer_that_is_no_stream_goes_through(gateway, server, protocol):
    viewer = ask(gateway, protocol, stream=False)
    assert whole(viewer) == sent(server) and ANSWER.encode() in sent(server)
