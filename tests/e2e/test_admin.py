"""What the operator is told: /streams as JSON, and the page that shows it."""

import json
import re
from datetime import datetime, timezone

import pytest
from browser import expect
from conftest import route
from pretend import WEB
from upstream import wait_until

check = pytest.mark.check

LISTED = 500
FILES = {"/": ("text/html", "admin.html"), "/admin.js": ("text/javascript", "admin.js"), "/admin.css": ("text/css", "admin.css"),
         "/page.css": ("text/css", "page.css")}


def status(gateway):
    answer = gateway.ask_admin("/streams")
    assert (answer.status, answer.header("Content-Type"), answer.header("Cache-Control")) == (200, "application/json", "no-store")
    return json.loads(answer.body)


def begin(gateway, up, *tokens, path="/text"):
    viewer = gateway.viewer().watch(f"{path}?prompt=canaryprompt")
    up.expect_request()
    up.head().tokens(*tokens)
    viewer.expect_tokens(*tokens)
    return viewer


def ended(gateway, n):
    """The counts are made after the last words: waits for n of them."""
    return wait_until(lambda: (now := status(gateway))["live"] == 0 and sum(end["count"] for end in now["ends"]) == n and now, f"{n} ends")


@check
def test_a_live_stream_appears_and_goes(gateway_with, up):
    gateway = gateway_with("memory: 7MiB", route("/text", up.url + "/generate"))
    before = status(gateway)
    assert (before["live"], before["kept"], before["viewers"], before["ends"], before["streams"], before["more"]) == (0, 0, 0, [], [], 0)
    viewer = begin(gateway, up, "Hel", "lo")
    now = status(gateway)
    assert (now["live"], now["kept"], now["viewers"], now["draining"], now["full"]) == (1, 0, 1, False, False)
    (stream,) = now["streams"]
    assert stream.pop("age_ms") >= stream.pop("idle_ms") >= 0
    assert stream == {"id": viewer.id[:6], "route": "/text", "state": "answering", "events": 2, "bytes": 5, "viewers": 1}
    assert now["memory"]["journal"] > 0 and now["memory"]["limit"] == 7 << 20
    up.done().end()
    viewer.expect_last_word("finished")
    after = ended(gateway, 1)
    assert (after["kept"], after["viewers"], after["streams"]) == (1, 0, [])
    (end,) = after["ends"]
    assert end == {"route": "/text", "end": "complete", "cause": "finished", "side": "model", "count": 1,
                   "sentence": "The model finished its answer."}


def test_who_answers_and_since_when(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate"))
    first, second = status(gateway), status(gateway)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", first["version"])
    assert 0 <= first["uptime_ms"] <= second["uptime_ms"]
    assert abs((datetime.now(timezone.utc) - datetime.fromisoformat(first["now"])).total_seconds()) < 60


def test_the_states_of_a_stream_that_has_not_begun(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate"))
    viewer = gateway.viewer().watch("/text?prompt=hi")
    up.expect_request()
    wait_until(lambda: status(gateway)["streams"][0]["state"] == "waiting", "the connection")
    assert "idle_ms" not in status(gateway)["streams"][0] and "queue" not in status(gateway)["streams"][0]
    up.head().tokens("a")
    viewer.expect("a")
    assert status(gateway)["streams"][0]["state"] == "answering"


def test_a_silent_upstream_is_seen_to_be_silent(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate"))
    viewer = begin(gateway, up, "a")
    idle = lambda: status(gateway)["streams"][0]["idle_ms"]
    wait_until(lambda: idle() >= 200, "some silence")
    up.tokens("b")
    viewer.expect("b")
    stream = status(gateway)["streams"][0]
    assert stream["idle_ms"] <= stream["age_ms"] - 200


def test_ends_are_counted_by_route_and_cause(gateway_with, up):
    gateway = gateway_with("", *(route(path, up.url + "/generate") for path in ("/one", "/two")))
    for path, cause in ("/one", "finished"), ("/one", "cut"), ("/two", "cut"), ("/two", "cut"), ("/two", "error"):
        viewer = begin(gateway, up, "a", path=path)
        {"finished": lambda: up.done().end(), "cut": up.cut, "error": lambda: up.event("no", "error")}[cause]()
        viewer.expect_last_word(cause)
    counts = {(end["route"], end["cause"]): (end["count"], end["end"]) for end in ended(gateway, 5)["ends"]}
    assert counts == {("/one", "finished"): (1, "complete"), ("/one", "cut"): (1, "failed"), ("/two", "cut"): (2, "failed"),
                      ("/two", "error"): (1, "failed")}
    assert all(end["sentence"].endswith(".") for end in status(gateway)["ends"])


def test_viewers_are_those_of_each_stream(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate", "grace: never"))
    first = begin(gateway, up, "a")
    second = begin(gateway, up, "a")
    third = gateway.viewer().watch(f"/streams/{second.id}")
    third.expect("a")
    now = status(gateway)
    assert now["viewers"] == 3
    assert [(stream["id"], stream["viewers"]) for stream in now["streams"]] == [(second.id[:6], 2), (first.id[:6], 1)], "the newest first"
    for viewer in (first, second, third):
        viewer.cut()
    wait_until(lambda: [stream["viewers"] for stream in status(gateway)["streams"]] == [0, 0], "the viewers to be gone")


def test_no_more_than_some_hundred_streams_are_listed(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate", "connect: 5min, first_event: 5min"))
    for n in range(LISTED + 3):
        made = gateway.ask("/streams", method="POST", body={"prompt": "hi"})
        assert made.status == 201
    now = status(gateway)
    assert (now["live"], len(now["streams"]), now["more"]) == (LISTED + 3, LISTED, 3)
    assert now["streams"][0]["id"] == json.loads(made.body)["id"][:6]


def test_a_full_gateway_says_so(gateway_with, up):
    gateway = gateway_with("limits: {streams: 1}", route("/text", up.url + "/generate"))
    running = begin(gateway, up, "a")
    assert (status(gateway)["full"], status(gateway)["draining"]) == (True, False)
    running.cut()


@check
def test_draining_is_told_to_the_very_end(gateway_with, up):
    gateway = gateway_with("drain: 10min", route("/text", up.url + "/generate"))
    viewer = begin(gateway, up, "a")
    gateway.process.terminate()
    now = wait_until(lambda: (now := status(gateway))["draining"] and now, "the drain")
    assert (now["live"], now["full"]) == (1, True)
    up.done().end()
    viewer.expect_last_word("finished")
    gateway.stop()


def test_neither_a_whole_id_nor_prompt_nor_answer_is_told(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate"))
    viewer = begin(gateway, up, "canaryanswer")
    for target in ("/streams", "/", "/metrics"):
        text = gateway.ask_admin(target).body.decode()
        assert "canary" not in text and viewer.id[:7] not in text


@pytest.mark.parametrize("target", ["/streams", "/metrics", "/healthz", "/readyz", *FILES])
def test_only_reading_is_allowed(house, target):
    head = house.gateway.ask_admin(target, method="HEAD")
    assert (head.status, bytes(head.body)) == (200, b"")
    assert int(head.header("Content-Length")) > 0
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        refused = house.gateway.ask_admin(target, method=method)
        assert (refused.status, refused.header("Allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize("target", ["/nowhere", "/streams/", "/streams/AAAAAAAAAAAAAAAAAAAAAA", "/index.html", "/page.js", "/sse-proxy"])
def test_nothing_else_is_there(house, target):
    answer = house.gateway.ask_admin(target)
    assert answer.status == 404 and json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize("target", ["/admin.js", "/admin.css", "/readyz"])
def test_the_operator_s_files_are_not_public(house, target):
    assert house.gateway.ask(target).status == 404


@pytest.mark.parametrize("target", FILES)
def test_the_page_s_files_are_served_strictly(house, target):
    type, name = FILES[target]
    answer = house.gateway.ask_admin(target)
    assert (answer.status, answer.header("Content-Type")) == (200, f"{type}; charset=utf-8")
    assert bytes(answer.body) == (WEB / name).read_bytes()
    policy = answer.header("Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.header("Set-Cookie") is None
    again = house.gateway.ask_admin(target, headers={"If-None-Match": answer.header("ETag")})
    assert (again.status, bytes(again.body)) == (304, b"")


# The page.

@pytest.fixture
def open_page(browser):
    """Opens a gateway's page. At its end no script may have failed and nothing may have been blocked."""
    tabs, complaints = [], []

    def open(gateway, **options):
        tab = browser.new_page(**options)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
        tab.goto("http://%s:%d/" % gateway.admin)
        tabs.append(tab)
        return tab

    yield open
    for tab in tabs:
        tab.close()
    assert complaints == []


def test_the_page_follows_what_happens(gateway_with, open_page, up):
    gateway = gateway_with("drain: 10min", route("/text", up.url + "/generate"))
    begin(gateway, up, "a").cut()
    up.expect_gone()
    ended(gateway, 1)
    tab = open_page(gateway)
    health, streams, ends = tab.locator("#health"), tab.locator("#streams tr"), tab.locator("#ends tr")
    expect(health).to_have_text("The gateway is well.")
    expect(tab.locator("#no-streams")).to_have_text("None now.")
    expect(ends).to_have_count(1)
    expect(ends.locator(".where")).to_have_text("1 on /text")
    first = begin(gateway, up, "one ", "two ")
    expect(streams).to_have_count(1)
    expect(streams.locator("td").nth(0)).to_have_text(first.id[:6])
    expect(streams.locator("td").nth(2)).to_have_text("answering")
    expect(tab.locator("#live")).to_have_text("1")
    up.done().end()
    first.expect_last_word("finished")
    expect(streams).to_have_count(0)
    broken = begin(gateway, up, "half")
    up.cut()
    broken.expect_last_word("cut")
    expect(ends.locator(".cause")).to_have_text(["cut", "abandoned", "finished"])
    expect(ends.nth(0)).to_contain_text("The connection to the model server broke in the middle of the answer.")
    expect(ends.nth(0).locator(".recent")).to_have_text("+1")
    expect(ends.nth(1).locator(".recent")).to_have_text("")
    expect(tab.locator("#faults")).to_have_text("1")
    last = begin(gateway, up, "a")
    gateway.process.terminate()
    expect(health).to_have_text("The gateway is draining.")
    expect(tab.locator("#advice")).to_have_text("It takes no new work; 1 stream may still run to the end.")
    up.done().end()
    last.expect_last_word("finished")
    gateway.wait()
    expect(health).to_have_text(re.compile(r"^The gateway cannot be reached since \d+:\d\d:\d\d"))
    expect(tab.locator("#advice")).to_have_text("What stands below is what it said last.")
    expect(health).to_have_attribute("data-state", "lost")


def test_memory_is_told_together_and_by_kind(gateway_with, open_page, up):
    gateway = gateway_with("memory: 7MiB", route("/text", up.url + "/generate"))
    running = begin(gateway, up, "a")
    slow = gateway.viewer().connect(buffer=4096).ask(f"/streams/{running.id}").expect_stream()
    up.event("y" * 200_000)
    running.expect("y" * 200_000)
    now = wait_until(lambda: (memory := status(gateway)["memory"])["output"] and memory, "something to wait for the slow one")
    assert now | {"body": 0, "limit": 7 << 20} == now
    tab = open_page(gateway)
    used = round((now["journal"] + now["output"]) / 1024)
    expect(tab.locator("#memory")).to_have_text(f"{used} KiB of 7.0 MiB")
    kinds = f"journals {round(now['journal'] / 1024)} KiB, request bodies 0 bytes, waiting to be read {round(now['output'] / 1024)} KiB"
    expect(tab.locator("#memory")).to_have_attribute("title", kinds)
    slow.cut()
    running.cut()


def test_the_page_fits_a_phone_in_the_dark(gateway_with, open_page, up):
    gateway = gateway_with("", route("/a/rather/long/path/for/a/route", up.url + "/generate"))
    running = begin(gateway, up, "a", path="/a/rather/long/path/for/a/route")
    tab = open_page(gateway, viewport={"width": 360, "height": 740}, color_scheme="dark")
    expect(tab.locator("#streams tr")).to_have_count(1)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    running.cut()


def test_without_scripts_the_page_says_where_to_look(gateway_with, open_page, up):
    gateway = gateway_with("", route("/text", up.url + "/generate"))
    tab = open_page(gateway, java_script_enabled=False)
    sentence = tab.locator("noscript p")
    expect(sentence).to_be_visible()
    assert [link.get_attribute("href") for link in sentence.locator("a").all()] == ["streams", "metrics"]
    expect(tab.locator("#view")).to_be_hidden()


def test_keys_are_shown_where_there_are_some(open_page, gateway_with, up, tmp_path):
    (tmp_path / "alice").write_text("canary-of-alice-0123456789")
    gateway = gateway_with(f"keys: [{{ name: alice, key: 'file:{tmp_path}/alice', streams: 1, starts_per_minute: 0 }}]",
                           route("/text", up.url + "/generate"))
    tab = open_page(gateway)
    row = tab.locator("#keys tr")
    expect(row.locator("td")).to_have_text(["alice", "0", "1", "0", "any", ""])
    headers = {"x-api-key": "canary-of-alice-0123456789"}
    viewer = gateway.viewer().watch("/text?prompt=hi", headers=headers)
    gateway.viewer().watch("/text?prompt=hi", headers=headers).expect_end("quota")
    expect(row.locator("td")).to_have_text(["alice", "1", "1", "1", "any", "1"])
    expect(tab.locator("#streams tr td").nth(1)).to_have_text("/text · alice")
    assert viewer.id and "canary" not in tab.content()
