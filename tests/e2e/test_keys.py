"""`keys`: who may start work, how much of it, and whose a stream is then."""

import json
import signal
import threading

import pytest
from conftest import COMMON, route
from judge import CLEAN
from test_passthrough import CHAT, DONE, JSON, ROLE, STOP, body_of, chunk, wait_body, wait_end
from upstream import wait_until
from viewer import fetch

ALICE, BOB, NOBODY = "canary-of-alice-0123456789", "canary-of-bob+/==-987654321", "canary-of-nobody-0123456789"
WHOLE = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'  # no stream is wanted
check = pytest.mark.check

# Wherever an SDK or a page may put it.
PLACES = {
    "bearer": lambda key: {"headers": {"Authorization": f"Bearer {key}"}},
    "lower case bearer": lambda key: {"headers": {"authorization": f"bearer   {key}"}},
    "anthropic": lambda key: {"headers": {"x-api-key": key}},
    "gemini": lambda key: {"headers": {"x-goog-api-key": key}},
    "azure": lambda key: {"headers": {"api-key": key}},
    "query": lambda key: {"query": "key=" + key.replace("+", "%2B")},
    "escaped query": lambda key: {"query": "%6Bey=" + "".join(f"%{byte:02x}" for byte in key.encode())},
    "own": lambda key: {"headers": {"Lastword-Key": key}},
    "cookie": lambda key: {"headers": {"Cookie": f"a=b; lastword_key={key}; c=d"}},
}
everywhere = pytest.mark.parametrize("place", PLACES)


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class Keyring:
    """Secrets in files, and the lines of `keys` that name them."""

    def __init__(self, directory):
        self.directory = directory

    def put(self, name, secret):
        (self.directory / name).write_text(secret + "\n")

    def line(self, name, secret, more=""):
        self.put(name, secret)
        return f"  - {{ name: {name}, key: 'file:{self.directory / name}'{', ' if more else ''}{more} }}"

    def lines(self, **limits):
        secrets = {"alice": ALICE, "bob": BOB}
        return "\n".join(["keys:", *(self.line(name, secret, limits.get(name, "")) for name, secret in secrets.items())])


@pytest.fixture
def ring(tmp_path):
    return Keyring(tmp_path)


@pytest.fixture
def gate(gateway_with, up, ring):
    return gateway_with(ring.lines(), *routes(up))


def routes(up):
    return [route("/text", up.url + "/generate", "grace: 5min"), route("/chat", up.url + "/v1/chat/completions"),
            route("/v1/*", up.url), route("/trusted/*", up.url, "auth: client")]


def ask(gate, target, place, key, **how):
    """Asks with the key in that place."""
    put = PLACES[place](key)
    if "query" in put:
        target += ("&" if "?" in target else "?") + put["query"]
    return gate.viewer().ask(target, headers=how.pop("headers", {}) | put.get("headers", {}), **how)


def begin(gate, up, key=ALICE, target="/text?prompt=hi", **headers):
    """A stream of that key, which waits for its upstream's words."""
    viewer = gate.viewer().watch(target, headers=bearer(key) | headers)
    up.expect_request()
    up.head()
    return viewer


def finish(up, viewer, token="a"):
    up.event(token).done().end()
    viewer.expect_tokens(token)
    viewer.expect_last_word("finished")


def refused(viewer, status=401):
    """The refusal, with its last byte."""
    viewer.expect_status(status)
    return wait_end(viewer)


def error_of(response):
    return json.loads(response.body)["error"]


def reload(gate, tmp_path, text):
    before = gate.stderr.count('"event":"reload"')
    (tmp_path / "lastword.yaml").write_text(text)
    gate.signal(signal.SIGHUP)
    wait_until(lambda: gate.stderr.count('"event":"reload"') > before, "the reload")
    assert gate.logged()[-1]["level"] == "info", gate.stderr


def file_of(keys, up):
    return "\n".join([COMMON, keys, "routes:", *routes(up)])


# Who may start.

@check
@everywhere
def test_F1_a_key_starts_work_wherever_it_stands(gate, up, place):
    for key in ALICE, BOB:
        viewer = ask(gate, "/text?prompt=hi", place, key).expect_stream()
        request = up.expect_request()
        assert "canary" not in str(request.headers) + request.target
        up.head()
        finish(up, viewer)


@everywhere
def test_F1_unknown_wrong_and_missing_look_alike(gate, up, place):
    missing = refused(gate.viewer().ask("/text?prompt=hi"))
    assert missing.header("WWW-Authenticate") == "Bearer"
    error = error_of(missing)
    assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")
    for wrong in NOBODY, ALICE[:-1], ALICE + "x", ALICE.upper(), "x":
        answer = refused(ask(gate, "/text?prompt=hi", place, wrong))
        assert (answer.body, answer.status) == (missing.body, missing.status)
        assert "canary" not in str(answer.headers)
    assert up.requests == 0
    assert gate.metrics()["lastword_unknown_callers_total"] == 6


@check
@pytest.mark.parametrize("how", [
    dict(target="/text", method="POST", body={"prompt": "hi"}),
    dict(target="/streams", method="POST", body={"prompt": "hi"}),
    dict(target="/text?prompt=hi", method="GET"),
    dict(target="/v1/chat/completions", method="POST", body=CHAT, headers=JSON),
    dict(target="/v1/models", method="GET"),
    dict(target="/v1/files/1", method="DELETE"),
    dict(target="/v1/models", method="HEAD"),
    dict(target="/v1/models", method="OPTIONS"),
], ids=lambda how: f"{how['method']} {how['target']}")
def test_F1_nothing_starts_without_a_key(gate, up, how):
    target = how.pop("target")
    refused(gate.viewer().ask(target, **how))
    refused(gate.viewer().ask(target, **how | {"headers": how.get("headers", {}) | bearer(NOBODY)}))
    assert up.requests == 0


def test_what_starts_nothing_needs_no_key(gate, up):
    assert gate.ask("/").status == 200
    assert gate.ask("/lastword.js").status == 200
    assert gate.ask("/text?prompt=hi", method="HEAD").status == 200
    assert gate.ask("/streams/" + 22 * "A").status == 404
    assert gate.ask("/nowhere").status == 404


@pytest.mark.parametrize("headers", [
    bearer(ALICE) | {"x-api-key": BOB},
    bearer(ALICE) | {"x-api-key": NOBODY},
    bearer(NOBODY) | {"Lastword-Key": ALICE},
    bearer(ALICE) | {"Cookie": f"lastword_key={BOB}"},
    {"Authorization": f"Bearer {ALICE}, Bearer {BOB}"},
    {"Authorization": f"Basic {ALICE}"},
    {"Authorization": ALICE},
    {"Authorization": "Bearer"},
    {"Authorization": f"Bearer{ALICE}"},
    {"Authorization": f"Bearer {ALICE}", "authorization": f"Bearer {BOB}"},
], ids=range(10))
def test_F1_credentials_that_disagree_or_are_none(gate, up, headers):
    refused(gate.viewer().ask("/text?prompt=hi", headers=headers))
    assert up.requests == 0


def test_F1_the_same_key_twice_is_one_key(gate, up):
    viewer = gate.viewer().watch("/text?prompt=hi&key=" + ALICE, headers=bearer(ALICE) | {"x-api-key": ALICE, "Cookie": f"lastword_key={ALICE}"})
    up.expect_request()
    up.head()
    finish(up, viewer)


def test_an_authorization_of_another_scheme_is_a_proxys(gate, up):
    viewer = gate.viewer().watch("/text?prompt=hi", headers={"Authorization": "Basic dTpw", "Cookie": f"lastword_key={ALICE}"})
    up.expect_request()
    up.head()
    finish(up, viewer)


# The upstream never sees it.

@check
@everywhere
def test_F10_no_key_crosses_a_passthrough_route(gate, up, place):
    viewer = ask(gate, "/v1/chat/completions?a=1&b=", place, ALICE, method="POST", body=WHOLE, headers=JSON)
    request = up.expect_request()
    assert request.target == "/v1/chat/completions?a=1&b="
    assert "canary" not in str(request.headers) and "cookie" not in request.headers
    up.answer("{}")
    assert wait_end(viewer).status == 200


@pytest.mark.parametrize("place", ["own", "cookie"])
def test_auth_client_takes_the_key_in_our_own_places_and_passes_the_rest(gate, up, place):
    theirs = {"Authorization": "Bearer theirs", "x-api-key": "theirs-too"}
    viewer = ask(gate, "/trusted/v1/chat/completions?key=third", place, ALICE, method="POST", body=WHOLE, headers=JSON | theirs)
    request = up.expect_request()
    assert (request.headers["authorization"], request.headers["x-api-key"]) == ("Bearer theirs", "theirs-too")
    assert request.query == {"key": ["third"]}
    assert request.headers.get("cookie") == ("a=b; c=d" if place == "cookie" else None)
    assert "canary" not in str(request.headers)
    up.answer("{}")
    wait_end(viewer)


def test_auth_client_does_not_take_it_elsewhere(gate, up):
    for place in set(PLACES) - {"own", "cookie"}:
        refused(ask(gate, "/trusted/v1/chat/completions", place, ALICE, method="POST", body=CHAT, headers=JSON))
    assert up.requests == 0


@pytest.mark.parametrize("place", set(PLACES) - {"own", "cookie"})
def test_F10_a_key_that_was_sent_for_the_upstream_by_mistake_does_not_cross(gate, up, place):
    viewer = ask(gate, "/trusted/v1/chat/completions?a=1", place, BOB, method="POST", body=WHOLE, headers=JSON | {"Lastword-Key": ALICE})
    request = up.expect_request()
    assert request.target == "/trusted/v1/chat/completions?a=1"
    assert "canary" not in str(request.headers)
    up.answer("{}")
    wait_end(viewer)


def test_our_own_field_and_cookies_never_cross(gateway_with, up):
    gate = gateway_with("", *routes(up))
    viewer = gate.viewer().ask("/trusted/x", headers={"Lastword-Key": ALICE, "Cookie": f"lastword_key={ALICE}; lastword_page=1"})
    assert not {"lastword-key", "cookie"} & set(up.expect_request().headers)
    up.answer("{}")
    assert wait_end(viewer).status == 200


# In the dialect, so that its SDKs raise what they raise for a wrong key.

SHAPES = {
    "/v1/chat/completions": lambda body: (body["error"]["type"], body["error"]["code"]) == ("authentication_error", "invalid_api_key"),
    "/v1/messages": lambda body: (body["type"], body["error"]["type"]) == ("error", "authentication_error"),
    "/v1/models/m:streamGenerateContent": lambda body: (body["error"]["code"], body["error"]["status"]) == (401, "UNAUTHENTICATED"),
    "/v1/api/chat": lambda body: isinstance(body["error"], str),
}


@pytest.mark.parametrize("path", SHAPES)
def test_a_401_in_the_dialects_shape(gate, up, path):
    answer = refused(gate.viewer().ask(path, method="POST", body=CHAT, headers=JSON))
    assert answer.header("WWW-Authenticate") == "Bearer"
    assert SHAPES[path](json.loads(answer.body)), answer.body


# Whose a stream is.

@check
def test_D2_with_another_key_a_stream_is_unknown(gate, up):
    viewer = begin(gate, up)
    up.event("a")
    viewer.expect("a", id=1)
    known, unknown = f"/streams/{viewer.id}", "/streams/" + 22 * "A"
    state = {"Accept": "application/json"}

    def answers(path, key):
        asked = [dict(headers=bearer(key) | state), dict(headers=bearer(key)), dict(headers=bearer(key), method="HEAD"),
                 dict(headers=bearer(key), method="DELETE"), dict(headers=bearer(key) | {"Accept": "text/event-stream"}),
                 dict(headers=bearer(key) | {"Last-Event-ID": path[9:] + ".1"})]
        said = [gate.ask(path, **how) for how in asked] + [gate.ask(path + "?as=upstream", headers=bearer(key))]
        said.append(gate.ask("/text?prompt=hi", headers=bearer(key) | {"Last-Event-ID": path[9:] + ".1"}))
        return [(one.status, bytes(one.body).replace(path[9:].encode(), b"ID"), [f for f in one.headers if f[0].lower() != "date"]) for one in said]

    assert answers(known, BOB) == answers(unknown, BOB)
    assert answers(known, BOB)[0][0] == 404
    assert gate.ask(known, headers=state | bearer(ALICE)).status == 200
    finish(up, viewer, "b")
    assert answers(known, BOB) == answers(unknown, BOB)  # kept, too
    assert up.requests == 1


def test_reading_and_stopping_need_only_the_id(gate, up):
    viewer = begin(gate, up)
    up.event("a")
    viewer.expect("a", id=1)
    for headers in {}, bearer(NOBODY), bearer(ALICE), {"Cookie": f"lastword_key={ALICE}"}:
        other = gate.viewer().watch(f"/streams/{viewer.id}", headers=headers)
        other.expect("a", id=1)
    back = gate.viewer()
    back.before = ["a"]
    back.watch("/text?prompt=hi", headers={"Last-Event-ID": viewer.place})
    assert back.id == viewer.id
    assert gate.ask(f"/streams/{viewer.id}", method="DELETE").status == 204
    viewer.expect_last_word("stopped")
    assert up.requests == 1


def test_two_keys_shown_to_a_stream_are_another_ones(gate, up):
    viewer = begin(gate, up)
    torn = bearer(ALICE) | {"x-api-key": BOB}
    assert gate.ask(f"/streams/{viewer.id}", headers=torn | {"Accept": "application/json"}).status == 404
    finish(up, viewer)


def test_D9_idempotency_keys_are_the_callers(gate, up):
    again = {"Idempotency-Key": "k"}
    alice = begin(gate, up, ALICE, **again)
    same = gate.viewer().watch("/text?prompt=hi&key=" + ALICE, headers=again | {"Cookie": "lastword_page=other"})
    assert same.id == alice.id
    bob = begin(gate, up, BOB, **again)
    assert bob.id != alice.id
    gate.viewer().ask("/text?prompt=other", headers=again | bearer(ALICE)).expect_error(422)
    refused(gate.viewer().ask("/text?prompt=hi", headers=again))
    assert up.requests == 2


def test_retries_are_the_callers(gateway_with, up, ring):
    gate = gateway_with(ring.lines(alice="streams: 1, starts_per_minute: 1"), route("/v1/*", up.url, "attach_retries: true, grace: 10s"))

    def post(key, body=CHAT, **headers):
        return gate.viewer().ask("/v1/chat/completions", method="POST", body=body, headers=JSON | key | headers)

    retry = {"X-Stainless-Retry-Count": "1"}
    first = post(bearer(ALICE))
    up.expect_request()
    up.head().send(ROLE + chunk("a"))
    wait_body(first, ROLE + chunk("a"))
    first.cut()
    again = post({"x-api-key": ALICE}, **retry)  # attaching costs nothing
    wait_body(again, ROLE + chunk("a"))
    mine = up.exchange
    other = post(bearer(BOB), **retry)
    up.expect_request()
    up.head().send(chunk("b"))
    wait_body(other, chunk("b"))
    mine.send(STOP + DONE).end()
    assert (wait_end(again).end, up.requests) == (CLEAN, 2)
    assert refused(post(bearer(ALICE), CHAT + b" ", **retry), 429).header("Retry-After")  # and is asked anew, by its limits


# How much of it.

@check
def test_F19_a_key_has_so_many_streams_at_once(gateway_with, up, ring):
    gate = gateway_with(ring.lines(alice="streams: 2"), *routes(up))
    one, two = begin(gate, up), begin(gate, up)
    three = gate.viewer().watch("/text?prompt=hi", headers=bearer(ALICE))
    verdict = three.expect_end("quota", end="failed", side="viewer", events=0)
    assert verdict["detail"] == "This key has 2 under way, as many as it may have at once."
    assert three.id not in (one.id, two.id)
    assert gate.ask("/text?prompt=hi", headers={"Last-Event-ID": three.place}).status == 204
    finish(up, two)
    wait_until(lambda: gate.metric("lastword_key_live", key="alice") == 1, "the place that was given back")
    four = begin(gate, up)
    up.event("a").cut()
    four.expect_tokens("a")
    four.expect_last_word("cut")
    assert gate.ask(f"/streams/{one.id}", method="DELETE").status == 204
    one.expect_last_word("stopped")
    wait_until(lambda: gate.metric("lastword_key_live", key="alice") == 0, "no stream of hers")
    finish(up, begin(gate, up, BOB))
    assert (up.requests, gate.metric("lastword_key_started_total", key="alice")) == (4, 3)


def test_over_a_limit_json_clients_get_429(gateway_with, up, ring):
    gate = gateway_with(ring.lines(alice="streams: 1"), *routes(up))
    begin(gate, up)
    answer = refused(gate.viewer().ask("/streams", method="POST", body={"prompt": "hi"}, headers=bearer(ALICE)), 429)
    assert (error_of(answer)["type"], error_of(answer)["code"], answer.header("Retry-After")) == ("rate_limit_error", "quota", "1")
    for path, shape in {
        "/v1/chat/completions": lambda body: body["error"]["type"] == "rate_limit_error" and body["lastword"]["cause"] == "quota",
        "/v1/messages": lambda body: body["error"]["type"] == "rate_limit_error",
        "/v1/models/m:streamGenerateContent": lambda body: (body["error"]["code"], body["error"]["status"]) == (429, "RESOURCE_EXHAUSTED"),
        "/v1/api/chat": lambda body: isinstance(body["error"], str),
    }.items():
        answer = refused(gate.viewer().ask(path, method="POST", body=CHAT, headers=JSON | bearer(ALICE)), 429)
        assert answer.header("Retry-After") == "1" and shape(json.loads(answer.body)), answer.body
    assert up.requests == 1


def test_what_is_passed_on_counts_while_it_lasts(gateway_with, up, ring):
    gate = gateway_with(ring.lines(alice="streams: 1"), *routes(up))

    def post():
        return gate.viewer().ask("/v1/chat/completions", method="POST", body=CHAT, headers=JSON | bearer(ALICE))

    piped = post()
    up.expect_request()
    refused(post(), 429)
    up.answer("{}", type="application/json", status=500)
    wait_end(piped)
    streamed = post()
    up.expect_request()
    up.head().send(chunk("a"))
    wait_body(streamed, chunk("a"))
    refused(post(), 429)
    assert gate.metric("lastword_key_live", key="alice") == 1
    up.send(STOP + DONE).end()
    assert wait_end(streamed).end == CLEAN
    left = post()
    up.expect_request()
    left.cut()
    up.expect_gone()
    wait_until(lambda: gate.metric("lastword_key_live", key="alice") == 0, "no request of hers")
    assert gate.metric("lastword_key_started_total", key="alice") == 3
    assert gate.metric("lastword_key_refused_total", key="alice", limit="streams") == 2


def test_a_request_that_no_upstream_takes_gives_its_place_back(gateway_with, ring):
    gate = gateway_with(ring.lines(alice="streams: 1"), route("/v1/*", "http://127.0.0.1:1"), route("/text", "http://127.0.0.1:1/generate"))
    for _ in range(3):
        refused(gate.viewer().ask("/v1/chat/completions", method="POST", body=CHAT, headers=JSON | bearer(ALICE)), 502)
        gate.viewer().watch("/text?prompt=hi", headers=bearer(ALICE)).expect_end("refused")
        wait_until(lambda: gate.metric("lastword_key_live", key="alice") == 0, "nothing under way")


def test_F19_a_key_has_so_many_starts_in_a_minute(gateway_with, up, ring):
    gate = gateway_with(ring.lines(alice="starts_per_minute: 2"), *routes(up))
    for _ in range(2):
        finish(up, begin(gate, up))
    more = gate.viewer().watch("/text?prompt=hi", headers=bearer(ALICE))
    assert more.expect_end("quota")["detail"].startswith("This key may start 2 a minute; ask again in ")
    answer = refused(gate.viewer().ask("/streams", method="POST", body={"prompt": "hi"}, headers=bearer(ALICE)), 429)
    assert 1 <= int(answer.header("Retry-After")) <= 30
    finish(up, begin(gate, up, BOB))
    assert gate.metric("lastword_key_refused_total", key="alice", limit="starts_per_minute") == 2
    assert up.requests == 3


def test_attaching_and_coming_back_cost_nothing(gateway_with, up, ring):
    gate = gateway_with(ring.lines(alice="streams: 1, starts_per_minute: 1"), *routes(up))
    viewer = begin(gate, up, **{"Idempotency-Key": "k"})
    up.event("a")
    viewer.expect("a", id=1)
    for _ in range(3):
        gate.viewer().watch("/text?prompt=hi", headers=bearer(ALICE) | {"Idempotency-Key": "k"}).expect("a", id=1)
        gate.viewer().watch(f"/streams/{viewer.id}", headers=bearer(ALICE)).expect("a", id=1)
    viewer.resume()
    finish(up, viewer, "b")
    assert (up.requests, gate.metric("lastword_key_started_total", key="alice")) == (1, 1)


def test_no_limit_is_none(gateway_with, up, ring):
    gate = gateway_with(ring.lines(alice="streams: 0, starts_per_minute: 0"), *routes(up))
    viewers = [begin(gate, up) for _ in range(70)]
    assert gate.metric("lastword_key_live", key="alice") == len(viewers)


@pytest.mark.parametrize("limit", ["streams: 1", "starts_per_minute: 1"])
@pytest.mark.parametrize("kind", ["browser", "passthrough"])
def test_F15_of_a_hundred_that_want_the_last_one_one_gets_it(gateway_with, up, ring, limit, kind):
    gate = gateway_with(ring.lines(alice=limit), *routes(up), args=["--workers", "2"])
    how = {"browser": dict(target="/streams", method="POST", body={"prompt": "hi", "route": "/text"}, headers=bearer(ALICE)),
           "passthrough": dict(target="/v1/chat/completions", method="POST", body=CHAT, headers=JSON | bearer(ALICE))}[kind]
    start, viewers = threading.Barrier(100), [gate.viewer().connect() for _ in range(100)]

    def post(viewer):
        start.wait()
        viewer.ask(**how)

    threads = [threading.Thread(target=post, args=[viewer]) for viewer in viewers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    up.expect_request()
    wait_until(lambda: gate.metric("lastword_key_refused_total", key="alice") == 99, "99 refusals")
    up.head().send(chunk("a") if kind == "passthrough" else "data: a\n\n")
    statuses = sorted(viewer.wait_status() for viewer in viewers)
    assert statuses == [201 if kind == "browser" else 200] + 99 * [429]
    assert (up.requests, gate.metric("lastword_key_started_total", key="alice")) == (1, 1)


# Reload.

def test_F2_a_key_that_was_taken_away_starts_no_more_and_what_runs_runs_on(gate, up, ring, tmp_path):
    viewer = begin(gate, up)
    up.event("a")
    viewer.expect("a", id=1)
    reload(gate, tmp_path, file_of("keys:\n" + ring.line("bob", BOB), up))
    refused(gate.viewer().ask("/text?prompt=hi", headers=bearer(ALICE)))
    viewer.resume()
    other = gate.viewer().watch(f"/streams/{viewer.id}", headers=bearer(ALICE))
    other.expect("a", id=1)
    assert gate.ask(f"/streams/{viewer.id}", headers=bearer(BOB)).status == 404
    finish(up, viewer, "b")
    wait_until(lambda: gate.metric("lastword_key_live", key="alice") == 0, "the end of her stream")
    assert gate.metric("lastword_key_started_total", key="alice") == 1
    finish(up, begin(gate, up, BOB))


def test_F2_a_secret_is_read_again_and_the_limits_go_on(gateway_with, up, ring, tmp_path):
    keys = ring.lines(alice="streams: 1")
    gate = gateway_with(keys, *routes(up))
    viewer = begin(gate, up)
    ring.put("alice", "another-canary-of-alice")
    reload(gate, tmp_path, file_of(keys, up))
    refused(gate.viewer().ask("/text?prompt=hi", headers=bearer(ALICE)))
    gate.viewer().watch("/text?prompt=hi", headers=bearer("another-canary-of-alice")).expect_end("quota")
    assert gate.ask(f"/streams/{viewer.id}", headers=bearer("another-canary-of-alice") | {"Accept": "application/json"}).status == 200
    finish(up, viewer)
    wait_until(lambda: gate.metric("lastword_key_live", key="alice") == 0, "the end of her stream")
    finish(up, begin(gate, up, "another-canary-of-alice"))


def test_keys_may_come_and_go(gateway_with, up, ring, tmp_path):
    gate = gateway_with("", *routes(up))
    free = gate.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head()
    reload(gate, tmp_path, file_of(ring.lines(), up))
    refused(gate.viewer().ask("/text?prompt=hi"))
    assert gate.ask(f"/streams/{free.id}", headers=bearer(BOB) | {"Accept": "application/json"}).status == 200
    finish(up, free)
    alice = begin(gate, up)
    reload(gate, tmp_path, file_of("", up))
    hers = up.exchange
    anybody = gate.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head()
    finish(up, anybody)
    hers.event("a").done().end()
    alice.expect_tokens("a")
    alice.expect_last_word("finished")


def test_F2_a_file_that_is_wrong_takes_no_key_away(gate, up, ring, tmp_path):
    ring.put("alice", "short")
    (tmp_path / "lastword.yaml").write_text(file_of(f"keys: [{{ name: alice, key: 'file:{tmp_path}/alice' }}]", up))
    gate.signal(signal.SIGHUP)
    wait_until(lambda: "nothing was changed" in gate.stderr, "the complaint")
    assert "shorter than 16 bytes" in gate.stderr
    finish(up, begin(gate, up))


# Pages of other sites.

def test_F3_a_key_is_no_excuse_for_a_foreign_page(gate, up):
    for headers in {"Origin": "https://foe.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}:
        refused(gate.viewer().ask("/text?prompt=hi", headers=headers | {"Cookie": f"lastword_key={ALICE}"}), 403)
    assert up.requests == 0


@check
def test_F3_off_the_loopback_interface_a_key_is_enough(gateway_with, up, ring):
    gate = gateway_with("hosts: [gate.example]\n" + ring.lines(), *routes(up), args=["--listen", "0.0.0.0:0"])
    host = {"Host": "gate.example"}
    refused(gate.viewer().ask("/text?prompt=hi", headers=host))
    for place in PLACES:
        viewer = ask(gate, "/text?prompt=hi", place, ALICE, headers=host).expect_stream()
        up.expect_request()
        up.head()
        finish(up, viewer)
    upload = {"method": "POST", "body": b"--x--", "headers": host | {"Content-Type": "multipart/form-data; boundary=x"}}
    refused(ask(gate, "/v1/audio/transcriptions", "cookie", ALICE, **upload), 403)
    viewer = ask(gate, "/v1/audio/transcriptions", "bearer", ALICE, **upload)
    assert up.expect_request().body == b"--x--"
    up.answer("{}")
    assert wait_end(viewer).status == 200


def test_F4_a_friend_reads_the_401_and_may_send_the_key(gateway_with, up, ring):
    gate = gateway_with("allow_origins: ['https://friend.example']\n" + ring.lines(), *routes(up))
    friend = {"Origin": "https://friend.example"}
    assert refused(gate.viewer().ask("/text?prompt=hi", headers=friend)).header("Access-Control-Allow-Origin") == friend["Origin"]
    preflight = gate.ask("/text", method="OPTIONS", headers=friend | {"Access-Control-Request-Method": "POST"})
    assert preflight.status == 204 and "lastword-key" in preflight.header("Access-Control-Allow-Headers").lower()


# What is told of them.

@check
def test_F10_F12_names_are_told_and_secrets_are_not(gateway_with, up, ring):
    gate = gateway_with(ring.lines(alice="streams: 1"), *routes(up))
    said = []
    viewer = begin(gate, up)
    live = json.loads(gate.ask_admin("/streams").body)
    assert [stream["key"] for stream in live["streams"]] == ["alice"]
    assert live["keys"] == [{"name": "alice", "live": 1, "started": 1, "refused": 0, "streams": 1, "starts_per_minute": 60},
                            {"name": "bob", "live": 0, "started": 0, "refused": 0, "streams": 10, "starts_per_minute": 60}]
    for place in PLACES:
        for key in ALICE, BOB + "x", NOBODY:
            answer = fetch(gate.address, "/v1/chat/completions" + ("?" + PLACES[place](key)["query"] if "query" in PLACES[place](key) else ""),
                           method="POST", body=CHAT, headers=JSON | PLACES[place](key).get("headers", {}))
            said += [str(answer.headers), bytes(answer.body).decode()]
    finish(up, viewer)
    wait_until(lambda: any(line["event"] == "stream" for line in gate.logged()), "its line")
    assert [line["key"] for line in gate.logged() if line["event"] == "stream"] == ["alice"]
    said += [gate.ask_admin(path).body.decode() for path in ("/metrics", "/streams")] + [gate.stderr]
    assert not [text for text in said if "canary" in text]
    labels = {name for name in gate.metrics() if "key=" in name}
    assert labels == {f'lastword_key_{what}' for key in ("alice", "bob") for what in (
        f'started_total{{key="{key}"}}', f'live{{key="{key}"}}', f'refused_total{{key="{key}",limit="streams"}}',
        f'refused_total{{key="{key}",limit="starts_per_minute"}}')}


def test_F10_the_secret_is_forgotten_as_soon_as_it_was_read(gate):
    """A core of the process would not hold it: its memory is searched."""
    found = []
    with open(f"/proc/{gate.process.pid}/maps") as maps, open(f"/proc/{gate.process.pid}/mem", "rb", 0) as memory:
        for line in maps:
            place, modes, *_, = line.split()
            begin_at, end_at = (int(edge, 16) for edge in place.split("-"))
            if not modes.startswith("rw") or "[v" in line or end_at - begin_at > 1 << 30:
                continue
            memory.seek(begin_at)
            try:
                found += [line for secret in (ALICE, BOB) if secret.encode() in memory.read(end_at - begin_at)]
            except OSError:
                pass
    assert found == []
