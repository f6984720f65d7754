"""SIGHUP: new work goes by the new file, running streams by the one they began with, and a wrong file changes nothing."""

import signal

import pytest
from conftest import COMMON, route
from upstream import Upstream, wait_until


@pytest.fixture
def ups():
    both = [Upstream(), Upstream()]
    yield both
    for up in both:
        up.close()


def text(up, options=""):
    return "\n".join([COMMON, "routes:", route("/text", up.url + "/generate", options)])


@pytest.fixture
def reload(gateway_with, ups, tmp_path):
    """A gateway onto the first upstream, and a way to give it another file."""
    gateway = gateway_with("", route("/text", ups[0].url + "/generate"))
    file = next(tmp_path.rglob("lastword.yaml"))

    def reload(text, expect):
        before = gateway.stderr.count('"event":"reload"')
        file.write_text(text)
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: gateway.stderr.count('"event":"reload"') > before and expect in gateway.stderr, expect)
        return gateway

    reload.gateway = gateway
    return reload


def test_E2_new_work_goes_by_the_new_file_and_running_streams_by_their_own(reload, ups):
    old, new = reload.gateway.viewer(), reload.gateway.viewer()
    old.watch("/text?prompt=old")
    ups[0].expect_request()
    ups[0].head().event("a")
    old.expect(id=1, data="a")
    reload(text(ups[1], "data: json"), "is in force")
    new.watch("/text?prompt=new")
    assert ups[1].expect_request().prompt == "new"
    assert new.response.header("Lastword-Data") == "json" and old.response.header("Lastword-Data") == "text"
    ups[1].head().event("b").done().end()
    new.expect(id=1, data="b")
    new.expect_last_word("finished")
    ups[0].event("c").done().end()
    old.expect(id=2, data="c")
    old.expect_last_word("finished")


def test_E2_a_question_that_is_still_on_its_way_is_answered_by_the_old_file(reload, ups):
    body = b'{"prompt":"hi"}'
    viewer = reload.gateway.viewer()
    viewer.connect().begin("POST")
    viewer.send(b"POST /text HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                b"Expect: 100-continue\r\n\r\n" % len(body))
    assert viewer.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"  # the head was read
    reload(text(ups[1], "data: json"), "is in force")
    viewer.send(body)
    assert ups[0].expect_request().prompt == "hi"
    viewer.expect_stream()
    assert viewer.response.header("Lastword-Data") == "text"
    ups[0].head().event("a").done().end()
    viewer.expect(id=1, data="a")
    viewer.expect_last_word("finished")
    wait_until(lambda: any(line["event"] == "stream" and line["route"] == "/text" for line in reload.gateway.logged()), "its line")


@pytest.mark.parametrize("wrong, words", [
    ("routes: [", "lastword.yaml:"),
    ("rutes: []\n", "rutes"),
    ("routes:\n- { path: /text, upstream: model }\n", "needs a restart"),
])
def test_E2_a_wrong_file_changes_nothing_and_says_why(reload, ups, wrong, words):
    gateway = reload(wrong, words)
    assert "nothing was changed" in gateway.stderr
    viewer = gateway.viewer()
    viewer.watch("/text?prompt=hi")
    ups[0].expect_request()
    ups[0].head().done().end()
    viewer.expect_last_word("finished")


def test_E2_counts_of_a_route_go_on(reload, ups):
    for up in ups:
        viewer = reload.gateway.viewer()
        viewer.watch("/text?prompt=hi")
        up.expect_request()
        up.head().done().end()
        viewer.expect_last_word("finished")
        reload(text(ups[1]), "is in force")
    assert reload.gateway.metrics()['lastword_streams_started_total{route="/text"}'] == 2


def test_a_listener_needs_a_restart_and_that_is_said(reload, ups):
    reload(text(ups[0]).replace("listen: 127.0.0.1:0", "listen: 127.0.0.1:1"), "listen is as it was")
