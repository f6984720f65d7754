"""Behind proxies of ours: what they say of the client is believed, of nobody else, and no further than it can be. The
viewer plays the proxy; its address is 127.0.0.1."""

import os
import signal

import pytest
from conftest import COMMON, route
from upstream import wait_until

CLIENT = "203.0.113.7"
SECURE = {"X-Forwarded-Proto": "https"}


@pytest.fixture
def behind(gateway_with, up):
    """A gateway that trusts 127.0.0.1, and whatever `more` says."""

    def behind(more="", proxies="[127.0.0.1]", args=()):
        return gateway_with(f"trusted_proxies: {proxies}\n{more}", route("/text", up.url + "/generate"),
                            route("/v1/*", up.url + "/v1"), args=args)

    return behind


def told(gateway, up, headers, target="/text?prompt=hi"):
    """What the upstream is told when a request with these fields comes."""
    viewer = gateway.viewer().ask(target, headers=headers)
    request = up.expect_request()
    viewer.cut()
    return request.headers


def peer_of(gateway, up, headers):
    """Who the log says has asked."""
    viewer = gateway.viewer().watch("/text?prompt=hi", headers=headers)
    up.expect_request()
    up.head().done().end()
    viewer.expect_last_word("finished")
    return wait_until(lambda: [line for line in gateway.logged() if line["event"] == "stream"], "its line")[-1]["peer"]


# Whom it is for.


@pytest.mark.check
@pytest.mark.parametrize("target", ["/text?prompt=hi", "/v1/models"])
def test_the_upstream_is_told_of_the_client_and_the_proxy(behind, up, target):
    headers = told(behind(), up, SECURE | {"X-Forwarded-For": CLIENT}, target)
    assert headers["x-forwarded-for"] == f"{CLIENT}, 127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("said, believed", [
    ("203.0.113.7", "203.0.113.7"),
    ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
    ("6.6.6.6, 203.0.113.7, 127.0.0.9", "203.0.113.7, 127.0.0.9"),
    ("127.0.0.8,127.0.0.9", "127.0.0.8, 127.0.0.9"),
    ("[2001:db8::7]:4711", "2001:db8::7"),
    ("203.0.113.7:4711", "203.0.113.7"),
])
def test_F17_the_first_who_is_no_proxy_of_ours_is_the_client(behind, up, said, believed):
    gateway = behind(proxies="[127.0.0.0/8]")
    assert peer_of(gateway, up, {"X-Forwarded-For": said}) == believed.split(",")[0]
    assert told(gateway, up, {"X-Forwarded-For": said})["x-forwarded-for"] == f"{believed}, 127.0.0.1"


@pytest.mark.parametrize("said", ["", "unknown", "_hidden", "203.0.113.7,", "203.0.113.7 6.6.6.6", "for=203.0.113.7",
                                  "999.1.1.1", "203.0.113.7, x", 7000 * "1", ",".join(2000 * ["x"])], ids=range(10))
def test_F17_what_is_no_address_is_ignored(behind, up, said):
    gateway = behind()
    assert peer_of(gateway, up, {"X-Forwarded-For": said}).startswith("127.0.0.1:")
    assert told(gateway, up, {"X-Forwarded-For": said})["x-forwarded-for"] == "127.0.0.1"


def test_F17_a_long_way_is_cut(behind, up):
    headers = told(behind(), up, {"X-Forwarded-For": ", ".join(500 * ["127.0.0.1"])})
    assert headers["x-forwarded-for"] == ", ".join(16 * ["127.0.0.1"])


@pytest.mark.parametrize("proxies", ["[]", "[10.0.0.0/8, '::1']", "[127.0.0.2]"])
def test_F17_of_others_nothing_is_believed(behind, up, proxies):
    gateway = behind(proxies=proxies)
    claims = SECURE | {"X-Forwarded-For": CLIENT, "X-Forwarded-Host": "chat.example"}
    assert peer_of(gateway, up, claims).startswith("127.0.0.1:")
    headers = told(gateway, up, claims)
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert headers["x-forwarded-host"] == "127.0.0.1:%d" % gateway.address[1]
    assert "Secure" not in gateway.ask("/", headers=claims).header("Set-Cookie")


def test_an_old_proxy_is_named_once_with_one_of_its_clients(behind, up):
    gateway = behind()
    for client in (CLIENT, "203.0.113.8"):
        viewer = gateway.viewer().ask("/text?prompt=hi", headers={"X-Forwarded-For": client}, version="HTTP/1.0")
        up.expect_request()
        up.head().done().end()
        viewer.expect_last_word("finished")
    lines = wait_until(lambda: [line for line in gateway.logged() if line["event"] == "http_1_0"], "a warning")
    assert lines[0]["message"].startswith(f"127.0.0.1 for {CLIENT} reads a stream over HTTP/1.0")
    assert len(lines) <= int(os.environ.get("LASTWORD_WORKERS", 1))


# By what scheme.


def test_a_cookie_is_secure_where_the_browser_speaks_tls(behind):
    gateway = behind()
    assert "; Secure" in gateway.ask("/", headers=SECURE).header("Set-Cookie")
    for headers in ({}, {"X-Forwarded-Proto": "http"}):
        assert "Secure" not in gateway.ask("/", headers=headers).header("Set-Cookie")


@pytest.mark.parametrize("said", ["", "https, http", "http,https", "https://", "wss", "HTTPSS", "on"])
def test_F17_a_scheme_that_is_none_is_ignored(behind, said):
    assert "Secure" not in behind().ask("/", headers={"X-Forwarded-Proto": said}).header("Set-Cookie")


def test_F3_our_own_origin_is_the_browser_s(behind, up):
    gateway = behind("hosts: [chat.example]")
    host = {"Host": "chat.example"}
    viewer = gateway.viewer().watch("/text?prompt=hi", headers=host | SECURE | {"Origin": "https://chat.example"})
    up.expect_request()
    for origin, proto in (("http://chat.example", "https"), ("https://chat.example", "http"), ("https://foe.example", "https")):
        gateway.viewer().ask("/text?prompt=hi", headers=host | {"X-Forwarded-Proto": proto, "Origin": origin}).expect_error(403)


def test_F3_off_the_loopback_interface_a_program_may_ask_by_tls(behind, up):
    gateway = behind("hosts: [chat.example]", args=["--listen", "0.0.0.0:0"])
    host = {"Host": "chat.example"}
    gateway.viewer().ask("/text?prompt=hi", headers=host).expect_error(403)
    gateway.viewer().ask("/text?prompt=hi", headers=host | SECURE | {"Sec-Fetch-Site": "cross-site"}).expect_error(403)
    assert up.requests == 0
    viewer = gateway.viewer().watch("/text?prompt=hi", headers=host | SECURE)
    up.expect_request()


# By what name.


@pytest.mark.parametrize("authority", ["chat.example", "CHAT.example", "chat.example:8443"])
def test_F5_a_name_that_is_listed_stands_for_host(behind, up, authority):
    gateway = behind("hosts: [chat.example]")
    headers = SECURE | {"Host": "127.0.0.1", "X-Forwarded-Host": authority, "Origin": f"https://{authority.lower()}"}
    assert told(gateway, up, headers)["x-forwarded-host"] == authority
    gateway.viewer().ask("/text?prompt=hi", headers=headers | {"Origin": "https://127.0.0.1"}).expect_error(403)


@pytest.mark.parametrize("said", ["evil.example", "chat.example, evil.example", "chat.example.evil.example", "chat.example/", "a@chat.example",
                                  "", "chat.example:99999", "127.0.0.2"])
def test_F5_another_name_is_ignored(behind, up, said):
    only, also = behind("hosts: [chat.example]"), behind("hosts: [chat.example, 127.0.0.1]")
    headers = SECURE | {"Host": "127.0.0.1", "X-Forwarded-Host": said}
    only.viewer().ask("/text?prompt=hi", headers=headers).expect_error(421)
    also.viewer().ask("/text?prompt=hi", headers=headers | {"Origin": f"https://{said}"}).expect_error(403)
    assert up.requests == 0
    assert told(also, up, headers)["x-forwarded-host"] == "127.0.0.1"


def test_F5_without_hosts_no_name_is_taken_from_a_proxy(behind, up):
    gateway = behind()
    own = "127.0.0.1:%d" % gateway.address[1]
    assert told(gateway, up, {"Host": own, "X-Forwarded-Host": "localhost"})["x-forwarded-host"] == own


# SIGHUP.


def test_a_reload_changes_who_is_trusted(behind, up, tmp_path):
    gateway = behind()
    assert peer_of(gateway, up, {"X-Forwarded-For": CLIENT}) == CLIENT
    file = next(tmp_path.rglob("lastword.yaml"))
    file.write_text("\n".join([COMMON, "routes:", route("/text", up.url + "/generate")]))
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "is in force" in gateway.stderr, "the reload")
    viewer = gateway.viewer().watch("/text?prompt=hi", headers={"X-Forwarded-For": CLIENT})
    assert up.expect_request().headers["x-forwarded-for"] == "127.0.0.1"
    viewer.cut()
