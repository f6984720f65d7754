"""Passthrough routes and paths: what lastword answers itself is not left over for a route that takes everything, and a route for one
path has nothing to add to its upstream's."""

from conftest import route
from test_passthrough import DONE, STOP, ask, chunk, wait_end
from upstream import Upstream


def test_a_stream_of_a_route_for_everything_is_found_again(gateway_with, up):
    gateway = gateway_with("", route("/*", up.url, "grace: 0"))
    viewer = ask(gateway.viewer())
    up.expect_request()
    up.head().send(chunk("a") + STOP + DONE).end()
    id = wait_end(viewer).header("Lastword-Stream")
    again = gateway.viewer().watch(f"/streams/{id}")
    again.expect("a")
    again.expect_last_word("finished")


def test_a_passthrough_route_for_one_path_asks_for_its_upstreams_path(gateway_with, up):
    gateway = gateway_with("", route("/chat", up.url + "/v1/chat/completions", "kind: passthrough"))
    viewer = ask(gateway.viewer(), "/chat")
    request = up.expect_request()
    up.head().send(chunk("a") + STOP + DONE).end()
    assert wait_end(viewer).status == 200 and request.target == "/v1/chat/completions"


def test_the_longest_prefix_wins_whatever_the_order(gateway_with, up):
    everything, one = Upstream(), Upstream()
    gateway = gateway_with("", route("/*", everything.url, "grace: 0"), route("/v1/*", up.url, "grace: 0"),
                           route("/v1/one", one.url, "kind: passthrough, grace: 0"))
    for path, upstream in (("/v1/one", one), ("/v1/chat/completions", up), ("/other", everything)):
        viewer = ask(gateway.viewer(), path)
        upstream.expect_request()
        upstream.answer("{}", status=404)
        wait_end(viewer)
    everything.close()
    one.close()
