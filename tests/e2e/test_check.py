"""`lastword check`: what it says of upstreams of every kind, and whether it says so truly. The upstreams are scripted; one is
uvicorn, one the model server of this project."""

import json
import os
import pty
import subprocess
import time

import pytest
import trustme
from gateway import SANITIZER, binary
from model_fixture import ModelServer
from test_dialects import BY_FRAMING, DIALECTS
from test_https import Server, whole
from test_uvicorn import Uvicorn
from upstream import DEADLINE, Closed, wait_until

CHAT, TEXT = "/v1/chat/completions", "/generate"
PATIENCE = max(DEADLINE, 120)  # a whole answer of the real model, on a busy machine


class Check:
    """One run of the program."""

    def __init__(self, *args, env=None):
        command = [str(binary()), "check", *map(str, args)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=os.environ | (env or {}))

    def end(self, status):
        """Its exit status, and what it printed."""
        out, err = self.process.communicate(timeout=PATIENCE)
        assert not SANITIZER.search(err), err
        assert self.process.returncode == status, out + err
        return out if status < 2 else err

    def found(self, status):
        """The same as JSON."""
        return json.loads(self.end(status))


@pytest.fixture
def check():
    """check(URL, flag, …): runs, and does not outlive the test."""
    started = []
    yield lambda *args, **more: started.append(Check(*args, **more)) or started[-1]
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def once(check, up):
    """once(path, flag, …): asks one question, which the upstream has read already."""

    def ask(path, *flags, **more):
        running = check(up.url + path, "--once", "--json", *flags, **more)
        up.expect_request()
        return running

    return ask


def advised(found, *words):
    """One sentence of the advice has all these words."""
    assert any(all(word in sentence for word in words) for sentence in found["advice"]), found["advice"]


def configures(found, tmp_path, *lines):
    """The route that is printed has these lines and is one."""
    yaml = found["route"]["yaml"]
    for line in lines:
        assert f"    {line}\n" in yaml, yaml
    file = tmp_path / "lw.yaml"
    file.write_text("routes:\n" + yaml)
    done = subprocess.run([binary(), "--config", file, "--check-config"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Every dialect.


@pytest.fixture(params=DIALECTS)
def dialect(request, once, up):
    path, _, text, good, error, finish = DIALECTS[request.param]
    by_path = path not in ("/generate", "/api/ui")

    def ask():
        running = once(path, *([] if by_path else ["--dialect", request.param]))
        up.head(type="application/x-ndjson" if request.param.startswith("ollama") else "text/event-stream")
        for frame in text:
            up.send(frame)
        return running

    ask.name, ask.good, ask.error, ask.finish, ask.known = request.param, good, error, finish, "path" if by_path else "name"
    return ask


@pytest.mark.check
def test_a_good_answer_is_proved(dialect, up, tmp_path):
    running = dialect()
    for frame in dialect.good:
        up.send(frame)
    up.end()
    found = running.found(0)
    verdict = found["verdict"]
    assert (verdict["proved"], verdict["end"], verdict["cause"], verdict["finish"]) == (True, "complete", "finished", dialect.finish)
    assert verdict["end_marker_seen"] == (dialect.name not in BY_FRAMING)
    assert (found["dialect"], found["dialect_known_by"], found["method"]) == (dialect.name, dialect.known, "POST")
    assert (found["counts"]["text_events"], found["counts"]["text_bytes"]) == (2, 5)
    assert len(found["advice"]) == (dialect.finish == "length")
    configures(found, tmp_path, f"dialect: {dialect.name}")


def test_C14_an_answer_without_its_end_is_not(dialect, up):
    running = dialect()
    up.end()
    found = running.found(1)
    assert (found["verdict"]["proved"], found["verdict"]["cause"]) == (False, "truncated")


def test_C12_a_broken_answer_is_not(dialect, up):
    running = dialect()
    up.cut()
    found = running.found(1)
    assert found["verdict"]["cause"] == "cut"
    advised(found, "ended inside the answer")


def test_C30_an_error_inside_is_shown_in_its_own_words(dialect, up):
    running = dialect()
    for frame in dialect.error:
        up.send(frame)
    up.end()
    found = running.found(1)
    assert found["verdict"]["cause"] == "error" and "no memory" in found["verdict"]["detail"]
    assert found["ms"]["first_token"] is not None
    advised(found, "upstream's own word")


def test_C33_what_cannot_be_read_leaves_the_dialect_in_doubt(once, up):
    running = once(CHAT)
    up.head().send("data: {]\n\n").end()
    found = running.found(1)
    assert (found["verdict"]["cause"], found["ms"]["first_token"], found["route"]) == ("protocol", None, None)
    advised(found, "another dialect than openai-chat")


# The end of a stream in JSON.


def test_a_marker_without_a_finish_costs_finish_optional(once, up, tmp_path):
    running = once(CHAT)
    up.head().chunk("Hello").done().end()
    found = running.found(1)
    assert (found["verdict"]["cause"], found["verdict"]["end_marker_seen"]) == ("truncated", True)
    advised(found, "`finish: optional`", "price")
    configures(found, tmp_path, "finish: optional")


def test_that_advice_holds(once, up):
    running = once(CHAT, "--finish", "optional")
    up.head().chunk("Hello").done().end()
    found = running.found(0)
    assert found["verdict"]["proof"] == "terminator"
    advised(found, "`finish: optional`", "would be believed")


def test_a_finish_that_no_marker_follows_is_enough(once, up):
    running = once(CHAT)
    up.head().chunk("Hello").chunk(finish="stop").end()
    assert running.found(0)["verdict"]["proof"] == "finish"


def test_C20_a_finish_in_a_body_without_frame_proves_nothing(once, up):
    running = once("/v1beta/models/tiny:streamGenerateContent")
    up.head("close")
    for frame in DIALECTS["gemini"][2] + DIALECTS["gemini"][3]:
        up.send(frame)
    up.end()
    found = running.found(1)
    assert (found["verdict"]["cause"], found["answer"]["framing"]) == ("unproven", "close")
    advised(found, "not framed")


def test_the_dialect_of_a_wrong_guess_is_named(once, up):
    running = once(CHAT)
    up.head().send(DIALECTS["anthropic"][2][0]).end()
    found = running.found(1)
    advised(found, "--dialect anthropic")
    assert found["route"] is None


def test_a_dialect_behind_a_get_stays_auto(once, up, tmp_path):
    """A route that named it would ask by POST."""
    running = once(TEXT)
    up.head().chunk("Hello").chunk(finish="stop").done().end()
    found = running.found(0)
    assert (found["dialect"], found["dialect_known_by"], found["method"]) == ("openai-chat", "event", "GET")
    configures(found, tmp_path, "dialect: auto")


def test_json_read_as_text_is_noticed(once, up):
    running = once(TEXT, "--dialect", "text")
    up.head().chunk("Hello").chunk(finish="stop").done().end()
    advised(running.found(0), "--dialect openai-chat")


def test_a_limit_of_tokens_is_mentioned(once, up):
    running = once(CHAT)
    up.head().chunk("Hello").chunk(finish="length").done().end()
    advised(running.found(0), "limit of tokens")


def test_usage_comments_and_pings_are_counted(once, up):
    running = once("/v1/messages")
    up.head().send(": hello\n\n")
    for frame in DIALECTS["anthropic"][2] + DIALECTS["anthropic"][3]:
        up.send(frame)
    up.end()
    counts = running.found(0)["counts"]
    assert (counts["comments"], counts["pings"]) == (1, 1)
    assert (counts["prompt_tokens"], counts["completion_tokens"]) == (3, 2)


def test_bytes_behind_the_last_word_and_a_body_that_stays_open(once, up):
    running = once(CHAT)
    up.head().chunk("Hello").chunk(finish="stop").done().send(": still here\n")
    found = running.found(0)
    assert found["counts"]["late_bytes"] == len(": still here\n")
    assert found["ms"]["body_over"] is None
    advised(found, "stayed open", "after the end marker")
    up.expect_gone()


# Text.


def test_text_with_a_marker_can_require_it(once, up, tmp_path):
    running = once(TEXT)
    up.head().tokens("Hello", " dear").event("bye", name="close").end()
    found = running.found(0)
    assert (found["dialect"], found["method"], found["verdict"]["proof"]) == ("text", "GET", "marker")
    assert found["advice"] == []
    configures(found, tmp_path, "dialect: text", "end_marker: required")


def test_text_by_its_framing_alone_is_told_the_price(once, up, tmp_path):
    running = once(TEXT)
    up.head().tokens("Hello", " dear").end()
    found = running.found(0)
    assert found["verdict"]["proof"] == "framing"
    advised(found, "Only the framing")
    advised(found, "event: close", "`end_marker: required`")
    configures(found, tmp_path, "dialect: text")
    assert "end_marker" not in found["route"]["yaml"]


def test_text_without_framing_is_not_proved(once, up):
    running = once(TEXT)
    up.head("close").tokens("Hello").end()
    found = running.found(1)
    assert (found["verdict"]["cause"], found["answer"]["framing"]) == ("unproven", "close")
    advised(found, "not framed")
    advised(found, "`end_marker: none`", "crashed")
    assert found["route"]["end_marker"] == "optional"


def test_an_end_that_is_only_believed_is_not_proved(once, up):
    running = once(TEXT, "--end-marker", "none")
    up.head("close").tokens("Hello").end()
    found = running.found(1)
    assert (found["verdict"]["cause"], found["verdict"]["proof"], found["verdict"]["proved"]) == ("finished", "none", False)


@pytest.mark.parametrize("last, option", [
    ({"name": "complete", "data": "{}"}, "`end_events: [complete]`"),
    ({"data": "[FINISHED]"}, '`end_data: ["[FINISHED]"]`'),
])
def test_a_marker_of_the_servers_own_is_found(once, up, last, option):
    running = once(TEXT)
    up.head().tokens("Hello").event(**last).end()
    advised(running.found(0), option, "`end_marker: required`")


def test_an_answer_that_ends_like_a_sentence_has_no_marker(once, up):
    running = once(TEXT)
    up.head().tokens("a", " <b>", " [x y]").end()
    assert not any("end_data" in sentence for sentence in running.found(0)["advice"])


def test_raw_newlines_are_counted(once, up):
    running = once(TEXT)
    up.head().send("data: one\ntwo\n\ndata: three\nfour\n\n").end()
    found = running.found(0)
    assert found["counts"]["raw_newlines"] == 2
    advised(found, "2 lines", "raw newlines", 'token.split("\\n")')


def test_text_in_named_events_is_no_text(once, up):
    running = once(TEXT)
    up.head().event("Hello", name="token").end()
    advised(running.found(1), '"token"', "without one")


def test_a_body_without_events(once, up):
    running = once(TEXT)
    up.head().send("Hello dear world").end()
    advised(running.found(1), "16 bytes", "no event")


def test_half_an_event(once, up):
    running = once(TEXT)
    up.head().tokens("Hello").send("data: dear\n").end()
    found = running.found(1)
    assert found["verdict"]["cause"] == "truncated"
    advised(found, "empty line")


def test_carriage_returns_want_json(once, up, tmp_path):
    running = once(CHAT)
    up.head().chunk("one\r\ntwo").chunk(finish="stop").done().end()
    found = running.found(0)
    advised(found, "`data: json`")
    configures(found, tmp_path, "data: json")


# Answers that are no stream.


@pytest.mark.parametrize("path, status, words", [
    (TEXT, 404, ["nothing at this path"]),
    (TEXT, 405, ["--dialect"]),
    (TEXT, 422, ["?prompt=TEXT"]),
    (CHAT, 400, ["--model NAME"]),
    (CHAT, 404, ["--model NAME"]),
    (CHAT, 401, ["--auth env:NAME"]),
    (CHAT, 429, ["no room"]),
    (CHAT, 500, ["log"]),
])
def test_a_status_is_explained_and_keeps_its_words(once, up, path, status, words):
    running = once(path)
    up.answer(json.dumps({"error": {"message": "the words of the server"}}), status=status)
    found = running.found(1)
    assert (found["verdict"]["cause"], found["answer"]["status"]) == ("status", status)
    assert "the words of the server" in found["answer"]["message"]
    assert found["route"] is None
    advised(found, *words)


def test_a_refused_credential_is_not_repeated(once, up):
    running = once(CHAT, "--auth", "env:LASTWORD_TEST_SECRET", env={"LASTWORD_TEST_SECRET": "canary-73"})
    assert up.exchange.request.headers["authorization"] == "Bearer canary-73"
    up.answer(json.dumps({"error": {"message": "Incorrect key: canary-73"}}), status=401)
    out = running.end(1)
    assert "canary" not in out and "Incorrect key: …" in json.loads(out)["answer"]["message"]
    advised(json.loads(out), "--auth-header")


@pytest.mark.parametrize("before", range(495, 515))
def test_nor_is_its_beginning_where_the_words_are_cut(once, up, before):
    running = once(CHAT, "--auth", "env:LASTWORD_TEST_SECRET", env={"LASTWORD_TEST_SECRET": "canary-73"})
    up.answer("x" * before + "canary-73, and more", status=401, type="text/plain")
    assert "can" not in json.loads(running.end(1))["answer"]["message"]


def test_redirects_are_named_and_not_followed(once, up):
    running = once(TEXT)
    up.answer("", status=307, headers=["Location: https://elsewhere.example/generate"])
    found = running.found(1)
    assert found["answer"]["location"] == "https://elsewhere.example/generate"
    advised(found, "https://elsewhere.example/generate", "not followed")
    assert up.requests == 1


def test_a_web_page_is_not_quoted(once, up):
    running = once(TEXT)
    up.answer("<html><script>x</script></html>", status=502, type="text/html")
    assert "script" not in running.end(1)


def test_C8_a_wrong_media_type_over_a_good_stream(once, up):
    running = once(TEXT)
    up.head(type="text/plain").tokens("Hello").end()
    found = running.found(1)
    assert (found["verdict"]["cause"], found["answer"]["media_type"]) == ("protocol", "text/plain")
    advised(found, "Content-Type: text/event-stream")


def test_an_answer_in_one_piece(once, up):
    running = once(CHAT)
    up.answer(json.dumps({"choices": [{"message": {"content": "Hello"}}]}))
    advised(running.found(1), "in one piece")


def test_C9_a_compressed_answer(once, up):
    running = once(TEXT)
    up.head(headers=["Content-Encoding: gzip"]).send(b"\x1f\x8b").end()
    found = running.found(1)
    assert found["answer"]["content_encoding"] == "gzip"
    advised(found, "compression")


# No answer.


def test_C1_nothing_listens(check):
    closed = Closed()
    found = check(closed.url + TEXT, "--json").found(1)
    assert (found["verdict"]["cause"], found["answer"]) == ("refused", None)
    advised(found, "Is the server running")
    closed.close()


def test_C3_no_tls_where_tls_was_expected(check, up):
    running = check(up.url.replace("http:", "https:") + TEXT, "--json")
    up.expect_connection()
    up.raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    found = running.found(1)
    assert found["verdict"]["cause"] == "tls" and "does not speak TLS" in found["verdict"]["detail"]
    advised(found, "http://")


def test_C3_an_authority_of_ones_own(check, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = Server(authority.issue_cert("localhost"), whole)
    url = f"https://localhost:{server.port}{TEXT}"
    found = check(url, "--json", "--once").found(1)
    assert found["verdict"]["cause"] == "tls"
    advised(found, "--ca FILE")
    found = check(url, "--json", "--once", "--ca", tmp_path / "ca.pem").found(0)
    configures(found, tmp_path, f"ca: {tmp_path / 'ca.pem'}")
    server.close()


def test_an_answer_that_never_begins(check, up):
    running = check(up.url + TEXT, "--json", "--timeout", "300ms")
    up.expect_request()
    found = running.found(1)
    assert found["verdict"]["cause"] == "first_event_timeout"
    advised(found, "--timeout")


# Leaving.


PAGES = ["/metrics", "/slots", "/health"]


class Left:
    """The first answer is whole; the second one has begun and been left. busy: what a page says before that."""

    def __init__(self, check, up, page=None, busy=None):
        self.running, self.up, self.page = check(up.url + TEXT, "--json"), up, page
        up.expect_request()
        up.head().tokens("Hello", " dear").event("bye", name="close").end()
        up.expect_request()
        self.second = up.exchange
        self.second.head().tokens("Hello")
        for path in PAGES[:PAGES.index(page) if page else len(PAGES)]:
            self.expect_look(path)
            up.answer("", status=404)
        if page:
            self.tell(busy)
        wait_until(self.second.is_gone, "the check to leave")

    def expect_look(self, path):
        asked = self.up.expect_request()
        assert (asked.method, asked.target) == ("GET", path)
        assert "authorization" not in asked.headers

    def tell(self, busy):
        self.expect_look(self.page)
        self.up.answer(busy)

    def found(self):
        return self.running.found(0)


def test_an_upstream_that_closes_has_noticed(check, up):
    left = Left(check, up)
    left.second.tokens(" and", " more").cut()
    leaving = left.found()["leaving"]
    assert (leaving["seen"], leaving["events"], leaving["busy"]) == ("closed", 2, None)


def test_an_upstream_that_stops_politely_has_noticed_too(check, up):
    """Go's servers frame well even what they gave up."""
    running = check(up.url + TEXT, "--json")
    up.expect_request()
    up.head().tokens("Hello", " dear", " world").end()
    up.expect_request()
    second = up.exchange
    second.head().tokens("Hello")
    for _ in PAGES:
        up.expect_request()
        up.answer("", status=404)
    wait_until(second.is_gone, "the check to leave")
    second.tokens(" dear").end()
    assert running.found(0)["leaving"]["seen"] == "closed"


def test_an_upstream_that_goes_on_to_its_end_has_not(check, up):
    left = Left(check, up)
    since = time.monotonic()  # an answer that is over at once tells nothing
    wait_until(lambda: time.monotonic() - since > 0.2, "a while to pass")
    left.second.tokens(" dear").event("bye", name="close").end()
    found = left.found()
    assert (found["leaving"]["seen"], found["leaving"]["events"]) == ("went_on", 2)
    advised(found, "does not look whether its client is still there")


def test_an_upstream_that_stays_is_left_for_good(check, up):
    left = Left(check, up)
    found = left.found()
    assert (found["leaving"]["seen"], found["leaving"]["events"]) == ("stayed", 0)
    advised(found, "does not look whether its client is still there")


@pytest.mark.parametrize("page, busy, idle", [
    ("/metrics", '# HELP x\nvllm:num_requests_running{engine="0"} 3.0\n', 'vllm:num_requests_running{engine="0"} 2.0\n'),
    ("/metrics", "llamacpp:requests_processing 1\n", "llamacpp:requests_processing 0\n"),
    ("/slots", '[{"id": 0, "is_processing": true}, {"id": 1, "is_processing": false}]', '[{"id": 0, "is_processing": false}]'),
    ("/health", '{"status": "ok", "busy": 1}', '{"status": "ok", "busy": 0}'),
])
def test_an_upstream_that_tells_how_busy_it_is_is_watched(check, up, page, busy, idle):
    left = Left(check, up, page, busy)
    left.second.cut()
    left.tell(busy)
    left.tell(idle)
    leaving = left.found()["leaving"]
    assert (leaving["seen"], leaving["busy"], leaving["busy_by"]) == ("closed", "fell", page)
    assert leaving["busy_ms"] >= leaving["ms"]


def test_a_page_without_a_number_is_no_account(check, up):
    """Nor is one that says that nothing runs while we are being answered."""
    left = Left(check, up, "/health", '{"status": "ok", "busy": 0}')
    left.second.cut()
    assert left.found()["leaving"]["busy"] is None


def test_an_upstream_that_stops_only_when_the_connection_is_closed_whole(check, up):
    left = Left(check, up, "/slots", '[{"is_processing": true}]')
    while not left.second.gone:  # half closed, it can still be written to
        left.tell('[{"is_processing": true}]')
        left.second.tokens(" more")
    left.tell('[{"is_processing": false}]')
    found = left.found()
    assert (found["leaving"]["seen"], found["leaving"]["busy"]) == ("stayed", "fell_when_closed")
    advised(found, "closed whole", "enough")


def test_an_answer_that_is_over_at_once_tells_nothing(check, up):
    running = check(up.url + TEXT, "--json")
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s"
    body = b"data: Hello\n\nevent: close\ndata: bye\n\n"
    for _ in range(2):
        up.expect_request()
        up.raw(answer % (len(body), body))
        up.exchange.kept = True
    assert running.found(0)["leaving"] == {
        "seen": "too_short", "ms": None, "events": None, "busy": None, "busy_by": None, "busy_ms": None}


def test_once_is_once(once, up):
    running = once(TEXT)
    up.head().tokens("Hello").event("bye", name="close").end()
    assert running.found(0)["leaving"]["seen"] == "not_tried"
    assert up.requests == 1


def test_a_failure_is_not_asked_again(check, up):
    running = check(up.url + TEXT, "--json")
    up.expect_request()
    up.answer("{}", status=500)
    running.found(1)
    assert up.requests == 1


# What is asked, and what is printed.


def test_the_question_is_the_routes(once, up, tmp_path):
    running = once(CHAT + "?v=1", "--prompt", "why?", "--model", "tiny", "--request", '{"temperature": 0.5}')
    asked = up.exchange.request
    assert (asked.method, asked.target) == ("POST", CHAT + "?v=1")
    assert asked.json == {"messages": [{"role": "user", "content": "why?"}], "stream": True, "model": "tiny", "temperature": 0.5}
    up.head().chunk("Hello").chunk(finish="stop").done().end()
    configures(running.found(0), tmp_path, 'request: {"model":"tiny","temperature":0.5}')


@pytest.mark.check
def test_the_text_for_a_person(check, up):
    running = check(up.url + CHAT, "--once")
    up.expect_request()
    up.head().chunk("Hello").done().end()
    lines = running.end(1).splitlines()
    assert lines[0] == "failed: The end marker came after 1 event, without a finish reason."
    assert f"  question     POST {up.url}{CHAT}" in lines
    assert "  answer       200, text/event-stream, chunked" in lines
    assert "  end marker   came" in lines
    assert lines[-6:] == ["The route, as far as it can be told", "routes:", "  - path: /sse-proxy", f"    upstream: {up.url}{CHAT}",
                          "    dialect: openai-chat", "    finish: optional"]
    assert max(map(len, lines)) <= 100


def test_what_a_server_says_moves_no_cursor(check, up):
    running = check(up.url + TEXT, "--once")
    up.expect_request()
    up.head(type="text/\x1b[31mred").event("\x1b[2J", name="\x1b]0;x\x07").end()
    out = running.end(1)
    assert not any(ord(c) < 0x20 and c != "\n" or 0x7f <= ord(c) < 0xa0 for c in out)


def test_nor_does_the_sentence_of_an_error(check, up):
    running = check(up.url + TEXT)
    up.expect_request()
    up.answer("no \x1b[31mmodel \u009b31m你好", status=500, type="text/plain; charset=utf-8")
    out = running.end(1)
    assert "no  [31mmodel  31m你好" in out


def test_progress_is_for_a_terminal(up):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([binary(), "check", up.url + TEXT, "--once"], stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    up.expect_request()
    seen = b""
    while b"question 1 of 1: asked; no answer yet" not in seen:
        seen += os.read(ours, 1024)
    up.head().tokens("Hello").end()
    out, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0 and out.startswith("complete: ")
    assert os.read(ours, 1024).endswith(b"\r\x1b[K")
    os.close(ours)


def test_help(check):
    out = check("--help").end(0)
    assert "usage: lastword check URL" in out and "--end-marker" in out
    assert max(map(len, out.splitlines())) <= 104


@pytest.mark.parametrize("args, words", [
    ([], ["no URL"]),
    (["ftp://h/"], ["check: ", "expected"]),
    (["model"], ["the embedded model"]),
    (["http://h/", "http://i/"], ["http://i/: unknown argument"]),
    (["http://h/", "--dialekt", "x"], ["did you mean --dialect?"]),
    (["http://h/", "--dialect", "x"], ["--dialect: ", "unknown dialect"]),
    (["http://h/", "--timeout", "5"], ["--timeout: ", "no unit"]),
    (["http://h/", "--prompt", ""], ["--prompt: ", "expected"]),
    (["http://h/", "--model", "tiny"], ["asked by GET"]),
    (["http://h" + CHAT, "--request", "{"], ["--request: ", "JSON object"]),
    (["http://h" + CHAT, "--request", '{"model": "a"}', "--model", "b"], ["--model: ", "once"]),
    (["http://h/", "--end-marker", "required", "--dialect", "openai-chat"], ["--end-marker: "]),
])
def test_a_wrong_command_line_is_named(check, args, words):
    err = check(*args).end(2)
    assert err.startswith("lastword: ") and err.count("\n") == 1
    for word in words:
        assert word in err


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(check):
    assert "canary" not in check("http://h/", "--auth", "canary-73").end(2)


# True servers.


@pytest.fixture(scope="module")
def uvicorn(tmp_path_factory):
    server = Uvicorn(tmp_path_factory.mktemp("uvicorn"))
    yield server
    server.close()


@pytest.mark.parametrize("path, prompt, proof, marker", [("/streaming", "hi", "framing", "optional"), ("/sse", "hi", "marker", "required")])
def test_uvicorn(check, uvicorn, path, prompt, proof, marker):
    found = check(uvicorn.url + path, "--prompt", prompt, "--json").found(0)
    assert (found["verdict"]["proof"], found["answer"]["framing"], found["dialect"]) == (proof, "chunked", "text")
    assert found["route"]["end_marker"] == marker


def test_uvicorn_whose_generator_raises(check, uvicorn):
    assert check(uvicorn.url + "/sse", "--prompt", "raise", "--json").found(1)["verdict"]["cause"] == "cut"


def test_uvicorn_misses_its_parameter(check, uvicorn):
    found = check(uvicorn.url + "/no-such-path", "--json").found(1)
    assert found["answer"]["status"] == 404 and "Not Found" in found["answer"]["message"]


def test_uvicorn_notices_that_we_left(check, uvicorn):
    found = check(uvicorn.url + "/sse", "--prompt", "hang", "--timeout", "2s", "--json").found(1)
    assert (found["verdict"]["cause"], found["leaving"]["seen"]) == ("total_timeout", "closed")


def test_the_model_server_of_this_project(check):
    server = ModelServer("--context", "512")
    try:
        url = "http://%s:%d" % server.address
        found = check(url + CHAT, "--request", '{"max_tokens": 200}', "--json").found(0)
        assert (found["verdict"]["proof"], found["dialect"]) == ("marker", "openai-chat")
        leaving = found["leaving"]
        assert (leaving["seen"], leaving["busy"], leaving["busy_by"]) == ("closed", "fell", "/health")
        assert check(url + TEXT, "--once", "--json").found(0)["route"]["end_marker"] == "required"
    finally:
        server.stop()
