"""The end of the gateway itself: a drain tells the truth to everyone; a kill cannot, and must not look like an end."""

import signal

import pytest
from conftest import route
from gateway import Gateway
from upstream import wait_until

check = pytest.mark.check


def begin(gateway, up, token="a"):
    viewer = gateway.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head().event(token)
    viewer.expect(token, id=1)
    return viewer


def draining(gateway):
    wait_until(lambda: gateway.ask_admin("/readyz").status == 503, "readiness to be withdrawn")


@check
def test_E1_a_stream_that_ends_within_the_drain_ends_well(gateway_with, up):
    gateway = gateway_with("drain: 30s", route("/text", up.url + "/generate"))
    viewer = begin(gateway, up)
    gateway.signal(signal.SIGTERM)
    draining(gateway)
    up.event("b").done().end()
    viewer.expect("b", id=2)
    viewer.expect_last_word("finished")
    gateway.stop()


@check
def test_E1_a_stream_that_outlives_the_drain_is_told_shutdown(gateway_with, up):
    gateway = gateway_with("drain: 300ms", route("/text", up.url + "/generate"))
    viewer = begin(gateway, up)
    gateway.signal(signal.SIGTERM)
    viewer.expect_last_word("shutdown", side="gateway", events=1)
    up.expect_gone()
    assert gateway.wait() == 0


def test_E1_a_second_signal_ends_at_once_and_still_with_a_last_word(gateway_with, up):
    gateway = gateway_with("drain: 10min", route("/text", up.url + "/generate"))
    viewer = begin(gateway, up)
    gateway.signal(signal.SIGTERM)
    draining(gateway)
    gateway.signal(signal.SIGTERM)
    viewer.expect_last_word("shutdown")
    assert gateway.wait() == 0


def test_E1_sigint_drains_too(gateway_with, up):
    gateway = gateway_with("drain: 0", route("/text", up.url + "/generate"))
    viewer = begin(gateway, up)
    gateway.signal(signal.SIGINT)
    viewer.expect_last_word("shutdown")
    assert gateway.wait() == 0


def test_E1_a_drain_without_streams_ends_at_once(gateway_with, up):
    gateway = gateway_with("drain: 10min", route("/text", up.url + "/generate"))
    idle = gateway.viewer().ask("/nowhere")
    idle.expect_error(404)
    gateway.stop()
    idle.expect_hang_up()


@check
def test_E1_a_drain_serves_resumes_and_refuses_new_work(gateway_with, up):
    gateway = gateway_with("drain: 10min", route("/text", up.url + "/generate", "grace: 5min"))
    viewer = begin(gateway, up)
    gateway.signal(signal.SIGTERM)
    draining(gateway)
    viewer.resume()
    up.event("b")
    viewer.expect("b", id=2)
    fresh = gateway.viewer().ask("/text?prompt=more")
    fresh.expect_status(200)
    fresh.wait(lambda: fresh.response.end, "the end")
    assert fresh.response.end == "clean" and fresh.reader.retry and not fresh.reader.events and not fresh.place
    refused = gateway.viewer().ask("/streams", method="POST", body={"prompt": "hi"}).expect_error(503)
    assert refused.header("Retry-After")
    assert gateway.ask(f"/streams/{viewer.id}", headers={"Accept": "application/json"}).status == 200
    assert gateway.ask_admin("/healthz").status == 200
    assert gateway.ask(f"/streams/{viewer.id}", method="DELETE").status == 204
    viewer.expect_last_word("stopped")
    assert gateway.wait() == 0
    assert up.requests == 1


@check
def test_E4_a_killed_gateway_breaks_the_transport_visibly(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate"))
    viewer = begin(gateway, up)
    gateway.kill()
    viewer.expect_broken()
    up.expect_gone()


def test_E4_after_a_restart_the_old_stream_is_forgotten(gateway_with, up):
    row = route("/text", up.url + "/generate")
    first = gateway_with("", row)
    viewer = begin(first, up)
    first.kill()
    viewer.expect_broken()
    second = gateway_with("", row)
    again = second.viewer().ask("/text?prompt=hi", headers={"Last-Event-ID": viewer.place})
    again.expect_last_word("forgotten")
    assert up.requests == 1


def test_E18_a_port_in_use_is_an_error(gateway_with, up, tmp_path):
    first = gateway_with("", route("/text", up.url + "/generate"))
    (tmp_path / "second").mkdir()
    second = Gateway(f"listen: 127.0.0.1:{first.address[1]}\nadmin: none\nretry: 100ms\nroutes:\n{route('/text', up.url)}", tmp_path / "second")
    with pytest.raises(AssertionError):
        second.start()
    assert second.process.returncode == 1
    assert str(first.address[1]) in second.stderr
