"""Who may start paid work: not a foreign page, not a rebound name, not a form."""

import pytest
from conftest import route

check = pytest.mark.check

FRIEND, FOE = "https://friend.example", "https://foe.example"


def refused(house, status, headers, target="/text?prompt=hi", **how):
    response = house.viewer().ask(target, headers=headers, **how).expect_error(status)
    assert house.ups["/text"].requests == 0
    return response


@check
@pytest.mark.parametrize("headers", [
    {"Origin": FOE},
    {"Origin": "null"},
    {"Origin": FRIEND + ".foe.example"},
    {"Origin": FRIEND + ":8443"},
    {"Origin": "http://friend.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": FOE},
], ids=range(8))
def test_F3_a_foreign_page_starts_nothing(house, headers):
    for how in ({}, {"method": "POST", "body": {"prompt": "hi"}, "target": "/text"}, {"method": "POST", "body": {"prompt": "hi", "route": "/text"}, "target": "/streams"}):
        response = refused(house, 403, headers, **how)
        assert response.header("Access-Control-Allow-Origin") is None


@check
def test_F3_our_own_page_a_friend_and_a_server_start_work(house):
    own = "http://%s:%d" % house.gateway.address
    for headers in ({}, {"Origin": own}, {"Origin": own, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "same-origin"},
                    {"Sec-Fetch-Site": "none"}, {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"}):
        up, viewer = house.at("/text")
        viewer.watch("/text?prompt=hi", headers=headers)
        up.expect_request()
        up.head().done().end()
        viewer.expect_last_word("finished")


def test_F4_cors_is_for_the_friend_alone_and_exact(house):
    up, viewer = house.at("/text")
    viewer.watch("/text?prompt=hi", headers={"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"})
    up.expect_request()
    assert viewer.response.header("Access-Control-Allow-Origin") == FRIEND
    assert "Origin" in viewer.response.header("Vary")
    assert {"Lastword-Stream", "Lastword-Data"} <= set(viewer.response.header("Access-Control-Expose-Headers").replace(" ", "").split(","))
    for headers in ({"Origin": FOE}, {}):
        answer = house.gateway.ask(f"/streams/{viewer.id}", headers=headers | {"Accept": "application/json"})
        assert answer.status == 200
        assert answer.header("Access-Control-Allow-Origin") is None


@check
def test_F4_a_preflight_is_answered_for_the_friend_alone(house):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type, idempotency-key, last-event-id"}
    answer = house.gateway.ask("/text", method="OPTIONS", headers=asked | {"Origin": FRIEND})
    assert answer.status == 204
    assert answer.header("Access-Control-Allow-Origin") == FRIEND
    assert "POST" in answer.header("Access-Control-Allow-Methods")
    allowed = answer.header("Access-Control-Allow-Headers").lower()
    assert all(name in allowed for name in ("last-event-id", "authorization", "content-type", "idempotency-key"))
    foreign = house.gateway.ask("/text", method="OPTIONS", headers=asked | {"Origin": FOE})
    assert foreign.header("Access-Control-Allow-Origin") is None
    assert foreign.status != 204


@check
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "169.254.169.254"])
def test_F5_another_host_is_misdirected(house, host):
    refused(house, 421, {"Host": host})


def test_F5_loopback_names_are_ours(house):
    port = house.gateway.address[1]
    for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", "127.0.0.1", f"[::1]:{port}"):
        up, viewer = house.at("/text")
        viewer.watch("/text?prompt=hi", headers={"Host": host})
        up.expect_request()


@check
def test_F3_off_the_loopback_interface_a_request_must_show_where_it_comes_from(gateway_with, up):
    gateway = gateway_with("hosts: [gate.example]", route("/text", up.url + "/generate"), args=["--listen", "0.0.0.0:0"])
    host = {"Host": "gate.example"}
    gateway.viewer().ask("/text?prompt=hi", headers=host).expect_error(403)
    for type in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        viewer = gateway.viewer().ask("/text", method="POST", headers=host | {"Content-Type": type}, body=b'{"prompt": "hi"}')
        viewer.expect_error(viewer.wait_status())
        assert viewer.response.status in (403, 415)
    assert up.requests == 0
    for how in (dict(headers=host | {"Sec-Fetch-Site": "same-origin"}), dict(method="POST", headers=host, body={"prompt": "hi"})):
        gateway.viewer().watch("/text?prompt=hi" if len(how) == 1 else "/text", **how)
        assert up.expect_request().prompt == "hi"


def test_a_json_type_may_have_parameters(house):
    up, viewer = house.at("/text")
    viewer.watch("/text", method="POST", headers={"Content-Type": "application/json; charset=utf-8"}, body=b'{"prompt": "hi"}')
    assert up.expect_request().prompt == "hi"


def test_credentials_of_the_viewer_do_not_reach_the_upstream(house):
    up, viewer = house.at("/text")
    secrets = {"Authorization": "Bearer s3cret", "x-api-key": "s3cret", "api-key": "s3cret", "x-goog-api-key": "s3cret", "Cookie": "a=s3cret"}
    viewer.watch("/text?prompt=hi&key=s3cret", headers=secrets)
    request = up.expect_request()
    assert "s3cret" not in str(request.headers) + request.target


def test_the_page_and_its_cookie(house):
    page = house.gateway.ask("/")
    assert page.status == 200 and page.header("Content-Type").startswith("text/html")
    assert "default-src 'none'" in page.header("Content-Security-Policy") or "default-src 'self'" in page.header("Content-Security-Policy")
    assert "unsafe-inline" not in page.header("Content-Security-Policy")
    assert page.header("ETag")
    cookie = page.header("Set-Cookie")
    assert cookie.startswith("lastword_page=") and "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie
    again = house.gateway.ask("/", headers={"Cookie": cookie.split(";")[0], "If-None-Match": page.header("ETag")})
    assert again.status == 304 and again.header("Set-Cookie") is None
    client = house.gateway.ask("/lastword.js")
    assert client.status == 200 and "javascript" in client.header("Content-Type")


def test_two_pages_do_not_share_their_keys(house):
    up, first = house.at("/text")
    first.watch("/text?prompt=hi", headers={"Idempotency-Key": "k", "Cookie": "lastword_page=" + 22 * "A"})
    second = house.viewer().watch("/text?prompt=hi", headers={"Idempotency-Key": "k", "Cookie": "lastword_page=" + 22 * "B"})
    assert first.id != second.id
    third = house.viewer().watch("/text?prompt=hi", headers={"Idempotency-Key": "k", "Cookie": "a=b; lastword_page=" + 22 * "A"})
    assert third.id == first.id


@pytest.mark.parametrize("field", ["Authorization", "x-api-key", "api-key", "x-goog-api-key"])
def test_two_credentials_do_not_share_their_keys(house, field):
    up = house.ups["/text"]

    def ask(credential, page):
        more = {field: credential} if credential else {}
        return house.viewer().watch("/text?prompt=hi", headers=more | {"Idempotency-Key": "k of " + field, "Cookie": "lastword_page=" + page})

    first = ask("one", "A")
    up.expect_request()
    assert ask("one", "B").id == first.id
    for other in "two", None:
        assert ask(other, "A").id != first.id
        up.expect_request()
    assert up.requests == 3
