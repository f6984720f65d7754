"""The model server by itself: what it promises to any OpenAI client, and to the gateway that supervises it."""

import http.client
import json
import os
import signal
import socket
import subprocess

import pytest
from model_fixture import DEADLINE, ENDLESS, MODEL, ModelServer, binary, listening_socket, message, wait_until


@pytest.fixture(scope="module")
def shared_server():
    server = ModelServer("--context", "1024", "--slots", "2")
    yield server
    server.stop()


@pytest.fixture
def server(shared_server):
    yield shared_server
    shared_server.tidy()


@pytest.fixture
def narrow():
    """One slot, and room for two behind it."""
    server = ModelServer("--context", "2048", "--slots", "1", "--queue", "2")
    yield server
    server.stop()


@pytest.fixture
def start():
    """start(…): a server of this test's own, which does not outlive it, however the test ends."""
    started = []
    yield lambda *args, **more: started.append(ModelServer(*args, **more)) or started[-1]
    for server in started:
        server.process.kill()
        server.process.wait()


def chunks(stream):
    """The JSON of all data blocks but [DONE]; comments apart."""
    blocks = [block for block in stream.blocks() if not block[0].startswith(":")]
    assert all(len(block) == 1 and block[0].startswith("data: ") for block in blocks), blocks
    assert blocks[-1] == ["data: [DONE]"]
    return [json.loads(block[0][6:]) for block in blocks[:-1]]


def texts(found):
    return [chunk["choices"][0]["delta"]["content"] for chunk in found if chunk["choices"] and chunk["choices"][0]["delta"].get("content")]


# Answers


def test_a_streamed_chat(server):
    stream = server.stream("What is the capital of France?", temperature=0, stream_options={"include_usage": True})
    assert (stream.status, stream.type) == (200, "text/event-stream")
    assert stream.queue() == 0
    first, *middle, finish, usage = chunks(stream)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "Paris" in "".join(texts(middle))
    assert all(chunk["choices"][0]["finish_reason"] is None and chunk["usage"] is None for chunk in [first, *middle])
    assert finish["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert usage["choices"] == []
    told = usage["usage"]
    assert told["prompt_tokens"] > 5 and told["completion_tokens"] >= len(middle)
    assert told["total_tokens"] == told["prompt_tokens"] + told["completion_tokens"]
    assert len({chunk["id"] for chunk in [first, *middle, finish, usage]}) == 1


def test_usage_is_told_only_when_asked_for(server):
    assert all("usage" not in chunk for chunk in chunks(server.stream("Hi", max_tokens=3)))


def test_a_whole_chat_says_what_a_streamed_one_says(server):
    content, finish, usage = server.chat("What is the capital of France?", temperature=0)
    assert content == "".join(texts(chunks(server.stream("What is the capital of France?", temperature=0))))
    assert finish == "stop" and usage["completion_tokens"] > 0


def test_generate_ends_with_its_own_last_word(server):
    stream = server.generate("Name%20two%20colours%2C%20one%20per%20line.")
    assert (stream.status, stream.type) == (200, "text/event-stream")
    assert stream.queue() == 0
    *tokens, last = list(stream.blocks())
    assert tokens and all(line.startswith("data: ") for block in tokens for line in block)
    assert last[0] == "event: close" and json.loads(last[1].removeprefix("data: "))["finish"] in ("stop", "length")


def test_characters_travel_whole(server):
    found = texts(chunks(server.stream("Repeat exactly, without any other word: 🚀🎉🚀🎉🚀🎉", temperature=0, max_tokens=40)))
    text = "".join(found)
    assert any(ord(c) > 0xFFFF for c in text), text
    assert "\ufffd" not in "".join(found[:-1])  # the last may have been cut by max_tokens


def test_a_character_that_is_never_completed_is_replaced_once_at_the_end(server):
    content, finish, usage = server.chat("Hi", temperature=0, max_tokens=1, logit_bias={str(lone_byte(server)): 100})
    assert (content, finish, usage["completion_tokens"]) == ("\ufffd", "length", 1)


def lone_byte(server):
    """A token that is half a character: the first that comes out as U+FFFD alone."""
    for token in range(150, 280):
        if server.chat("Hi", temperature=0, max_tokens=1, logit_bias={str(token): 100})[0] == "\ufffd":
            return token
    raise AssertionError("this vocabulary has no token for a lone byte")


@pytest.mark.parametrize("members", [{"max_tokens": 7}, {"max_completion_tokens": 7}, {"max_tokens": 9, "max_completion_tokens": 7}])
def test_max_tokens_ends_with_length(server, members):
    content, finish, usage = server.chat("Count from one to one hundred.", **ENDLESS | members)
    assert content and (finish, usage["completion_tokens"]) == ("length", 7)


def test_a_full_context_ends_with_length(start):
    server = start("--context", "64", "--slots", "2")
    _, finish, usage = server.chat("Count.", **ENDLESS)
    assert finish == "length"
    assert usage["total_tokens"] == 64 + 1  # the last token needs no room: nothing follows it
    server.stop()


def test_stop_strings_end_the_text_before_them(server):
    whole, _, _ = server.chat("What is the capital of France?", temperature=0)
    word = whole.split()[2]
    content, finish, _ = server.chat("What is the capital of France?", temperature=0, stop=["never said", word])
    assert (content, finish) == (whole[: whole.index(word)], "stop")
    streamed = "".join(texts(chunks(server.stream("What is the capital of France?", temperature=0, stop=word))))
    assert streamed == content


def test_a_seed_makes_dice_repeat(server):
    members = {"temperature": 1.5, "top_k": 0, "top_p": 1, "max_tokens": 20}
    answers = [server.chat("Invent a name for a dragon.", seed=seed, **members)[0] for seed in (7, 7, 8)]
    assert answers[0] == answers[1] != answers[2]


def test_temperature_zero_repeats_without_a_seed(server):
    answers = {server.chat("Tell me about rain.", temperature=0, max_tokens=20)[0] for _ in range(2)}
    assert len(answers) == 1


def test_penalties_change_an_answer_that_repeats_itself(server):
    members = ENDLESS | {"max_tokens": 80}
    plain = server.chat("Say yes, again and again.", **members)[0]
    for penalty in ({"frequency_penalty": 2}, {"presence_penalty": 2}, {"repeat_penalty": 2}):
        assert server.chat("Say yes, again and again.", **members, **penalty)[0] != plain


def test_the_models_own_chat_template_is_applied(server):
    """ChatML: ten tokens for one short message, six for each further one, and "assistant" is one more than "user"."""
    assert server.chat("Hi", max_tokens=1)[2]["prompt_tokens"] == 10
    history = [{"role": "system", "content": "Hi"}, *message("Hi"), {"role": "assistant", "content": "Hi"}, *message([{"type": "text", "text": "Hi"}])]
    status, _, answer = server.ask("POST", "/v1/chat/completions", {"messages": history, "max_tokens": 1})
    assert status == 200 and answer["usage"]["prompt_tokens"] == 10 + 3 * 6 + 1


def test_a_system_message_changes_the_answer(server):
    def ask(*before):
        members = {"messages": [*before, *message("Who are you?")], "temperature": 0, "max_tokens": 20}
        return server.ask("POST", "/v1/chat/completions", members)[2]["choices"][0]["message"]["content"]

    pirate = "You are a pirate. Talk like one."
    assert ask() != ask({"role": "system", "content": pirate}) == ask({"role": "developer", "content": pirate})


# Together


def test_two_answers_are_decoded_together(server):
    one, two = server.stream("Tell a story.", **ENDLESS), server.stream("Tell a tale.", **ENDLESS)
    assert one.queue() == two.queue() == 0
    for _ in range(3):
        assert one.text() and two.text()
    assert server.health()["busy"] == 2


def test_a_long_prompt_does_not_stop_who_is_running(server):
    running = server.stream("Tell a story.", **ENDLESS)
    running.text()
    long = server.stream("word " * 600, **ENDLESS)
    assert long.queue() == 0
    assert running.text()
    assert long.text()
    assert running.text()


def test_who_goes_on_when_others_have_ended_says_what_it_says_alone(start):
    """Answers that ended leave a gap, and the last one moves into it with all it remembers."""
    server = start("--context", "512", "--slots", "4")
    count = {"temperature": 0, "max_tokens": 40}
    alone = server.chat("Count from 1 to 100, with commas.", **count)[0]
    endings = [server.stream(f"Count from {n}.", **{**ENDLESS, "max_tokens": n}) for n in (30, 4, 12)]
    last = server.stream("Count from 1 to 100, with commas.", **count)
    for ended in endings:
        assert chunks(ended)[-1]["choices"][0]["finish_reason"] == "length"
    assert "".join(texts(chunks(last))) == alone
    server.stop()


def test_who_waits_is_told_each_new_place(narrow):
    running = narrow.stream("Tell a story.", **ENDLESS)
    assert running.queue() == 0
    second, third = narrow.stream("Tell a tale.", **ENDLESS), None
    assert second.queue() == 1
    third = narrow.stream("Hi", **ENDLESS | {"max_tokens": 2})
    assert third.queue() == 2
    assert narrow.health() == {"status": "ok", "slots": 1, "busy": 1, "queued": 2}
    running.text()
    running.cut()
    assert second.queue() == 0 and third.queue() == 1
    second.text()
    second.cut()
    assert third.queue() == 0
    assert chunks(third)[-1]["choices"][0]["finish_reason"] == "length"


def test_a_full_queue_refuses(narrow):
    for place in range(3):
        assert narrow.stream("Tell a story.", **ENDLESS).queue() == place
    for method, path, body in (("POST", "/v1/chat/completions", {"messages": message("Hi")}), ("GET", "/generate?prompt=Hi", None)):
        status, headers, answer = narrow.ask(method, path, body)
        assert status == 503 and int(headers["Retry-After"]) > 0
        assert answer["error"]["code"] == "queue_full" and answer["error"]["type"] == "server_error"


def test_leaving_the_queue_moves_those_behind(narrow):
    running, second, third = [narrow.stream("Tell a story.", **ENDLESS) for _ in range(3)]
    assert [s.queue() for s in (running, second, third)] == [0, 1, 2]
    second.cut()
    assert third.queue() == 1


def test_a_client_that_leaves_frees_its_slot(narrow):
    for text in ("Tell a story.", "word " * 1500):  # while it is answered, and while its prompt is read
        stream = narrow.stream(text, **ENDLESS)
        assert stream.queue() == 0
        stream.cut()
        wait_until(narrow.is_idle)
    assert narrow.chat("Hi", **ENDLESS | {"max_tokens": 2})[1] == "length"


def test_a_client_that_waits_for_a_whole_answer_may_leave_too(narrow):
    connection = narrow.connect()
    connection.request("POST", "/v1/chat/completions", json.dumps({"messages": message("Tell a story."), **ENDLESS}))
    wait_until(lambda: narrow.health()["busy"] == 1)
    connection.close()
    wait_until(narrow.is_idle)


# Refusals


@pytest.mark.parametrize("body, words", [
    ("{", "not valid JSON"),
    ("[]", "must be a JSON object"),
    ({"messages": []}, "messages"),
    ({"messages": message("hi"), "temperature": 9}, "temperature"),
    ({"messages": message("hi"), "n": 2}, '"n" must be 1'),
    ({"messages": message("hi"), "logit_bias": {"1000000": 1}}, "logit_bias"),
    ({"messages": message("word " * 3000)}, "context is 1024 tokens"),
    ({"messages": message("x" * 1000000), "stream": True}, "context is 1024 tokens"),
])
def test_what_cannot_be_served_is_refused_before_the_stream(server, body, words):
    status, headers, answer = server.ask("POST", "/v1/chat/completions", body)
    assert status == 400 and words in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error" and set(answer["error"]) == {"message", "type", "param", "code"}


def test_a_prompt_that_does_not_fit_has_openais_code(server):
    status, _, answer = server.ask("POST", "/v1/chat/completions", {"messages": message("word " * 3000)})
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/generate", 400), ("GET", "/generate?prompt=", 400), ("GET", "/generate?prompt=%ff", 400),
    ("GET", "/nothing", 404), ("GET", "/v1/chat/completions", 405), ("POST", "/generate?prompt=Hi", 405),
])
def test_wrong_requests(server, method, path, status):
    found, headers, answer = server.ask(method, path, "{}" if method == "POST" else None)
    assert found == status and answer["error"]["message"]
    assert headers["Allow"] == {405: "POST" if method == "GET" else "GET"}.get(status)


def test_a_body_over_its_limit(server):
    assert server.ask("POST", "/v1/chat/completions", b" " * (1024 * 1024 + 1))[0] == 413


def test_the_model_has_a_name(server):
    assert server.ask("GET", "/v1/models")[2]["data"][0]["id"] == MODEL.name.removesuffix(".gguf")


# The process


def run(*args):
    return subprocess.run([binary(), *args], capture_output=True, text=True, timeout=DEADLINE)


def test_help_and_version():
    assert "--lifeline-fd" in run("--help").stdout and run("--help").returncode == 0
    assert run("--version").stdout.startswith("lastword-model ")


def test_a_wrong_command_line_is_2():
    said = run("--model", str(MODEL))
    assert said.returncode == 2 and "--listen" in said.stderr


def test_a_missing_model_is_2_and_says_how_to_get_one(tmp_path):
    said = run("--model", str(tmp_path / "none.gguf"), "--listen", "127.0.0.1:0")
    assert said.returncode == 2 and "make model" in said.stderr and "none.gguf" in said.stderr


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip file"])
def test_what_is_no_gguf_is_2_and_named(tmp_path, content):
    (tmp_path / "model").write_bytes(content)
    said = run("--model", str(tmp_path / "model"), "--listen", "127.0.0.1:0")
    assert said.returncode == 2 and "no GGUF" in said.stderr


def test_a_broken_gguf_is_1(tmp_path):
    (tmp_path / "model").write_bytes(b"GGUF" + bytes(200))
    said = run("--model", str(tmp_path / "model"), "--listen", "127.0.0.1:0")
    assert said.returncode == 1 and "not_loaded" in said.stderr


def test_a_taken_port_is_1():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = run("--model", str(MODEL), "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert said.returncode == 1 and "listen" in said.stderr


def test_it_says_what_it_loaded(server):
    wait_until(lambda: '"event":"loaded"' in server.stderr())
    said = next(json.loads(line) for line in server.stderr().splitlines() if '"event":"loaded"' in line)
    assert (said["context"], said["slots"], said["total"], said["threads"]) == (1024, 2, 2048, 1)
    assert said["model"] == str(MODEL) and said["load_ms"] >= 0


@pytest.fixture
def loading(tmp_path):
    """A server whose model never comes: a named pipe that gives the first four bytes and then nothing."""
    os.mkfifo(tmp_path / "model")
    command = [binary(), "--model", str(tmp_path / "model"), "--listen", "127.0.0.1:0", "--slots", "1", "--queue", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with open(tmp_path / "model", "wb") as pipe:
        pipe.write(b"GGUF")
    port = int(process.stdout.readline().rsplit(":", 1)[1])
    yield process, lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    process.kill()
    process.wait()
    process.stdout.close()


def read_health(connect):
    connection = connect()
    connection.request("GET", "/health")
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_while_it_loads_health_says_so_and_requests_are_held(loading):
    process, connect = loading
    assert read_health(connect) == (503, {"status": "loading", "slots": 1, "busy": 0, "queued": 0})
    held = [connect(), connect()]
    for connection in held:
        connection.request("POST", "/v1/chat/completions", json.dumps({"messages": message("Hi")}))
    wait_until(lambda: read_health(connect)[1]["queued"] == 2)
    refused = connect()
    refused.request("GET", "/generate?prompt=Hi")
    assert refused.getresponse().status == 503
    held[0].close()
    wait_until(lambda: read_health(connect)[1]["queued"] == 1)
    assert process.poll() is None


def test_a_load_that_hangs_does_not_keep_it_alive(loading):
    process, connect = loading
    process.terminate()
    assert process.wait(DEADLINE) == 0


def test_a_request_that_comes_before_the_model_is_served(start):
    server = start("--context", "512", "--slots", "1")
    assert server.chat("Hi", **ENDLESS | {"max_tokens": 2})[1] == "length"
    server.stop()


def test_a_signal_breaks_streams_visibly(start):
    server = start("--context", "2048", "--slots", "1")
    stream = server.stream("Tell a story.", **ENDLESS)
    stream.text()
    server.process.send_signal(signal.SIGTERM)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        while stream.response.read(1):
            pass
    server.stop()


def test_it_serves_an_inherited_socket_and_ends_with_its_lifeline(start):
    ours, theirs = os.pipe()
    with listening_socket() as listener:
        server = start("--lifeline-fd", str(ours), "--context", "512", "--slots", "1",
                       listen=("--listen-fd", str(listener.fileno())), pass_fds=(ours, listener.fileno()))
        os.close(ours)
        assert server.line == "lastword-model: listening on the inherited socket\n"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(DEADLINE)
            client.connect(listener.getsockname())
            body = json.dumps({"messages": message("Hi"), "stream": True, "max_tokens": 3}).encode()
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: model\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            said = b""
            while b"data: " not in said:
                said += client.recv(4096)
            # Its supervisor's signals are not for it.
            server.process.send_signal(signal.SIGTERM)
            server.process.send_signal(signal.SIGINT)
            client.sendall(b"GET /health HTTP/1.1\r\nHost: model\r\n\r\n")
            while b'"status":"ok"' not in said:
                piece = client.recv(4096)
                assert piece
                said += piece
        assert server.process.poll() is None
        os.close(theirs)
        assert server.process.wait(DEADLINE) == 0
