"""The client as any page would use it: an import without a bundler, in Chromium, the wire cut, and from another origin."""

import http.server
import threading

import pytest
from conftest import COMMON
from gateway import Gateway
from pretend import TYPES, WEB

TOKENS = ["Hel", "lo,\n ", "wörld"]
PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
import * as client from "./lastword.js";
window.client = client;
window.heard = { tokens: [], states: [], ends: [], fails: [] };
window.handlers = {
	onToken: (text) => heard.tokens.push(text), onState: (state) => heard.states.push(state),
	onEnd: (end) => heard.ends.push(end), onFail: (end) => heard.fails.push(end),
};
</script>"""


class Site(http.server.BaseHTTPRequestHandler):
    """A page of somebody else: its own HTML, and lastword.js copied beside it."""

    def do_GET(self):
        body = (WEB / "lastword.js").read_bytes() if self.path == "/lastword.js" else PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", TYPES[".js" if self.path == "/lastword.js" else ".html"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


class Tab:
    """The foreign page with its client; `gateway` is what it asks, by an absolute URL."""

    def __init__(self, tab, gateway):
        self.tab, self.gateway = tab, gateway

    def run(self, script):
        return self.tab.evaluate(f"(gateway) => {{ {script} }}", self.gateway)

    def hears(self, what):
        self.tab.wait_for_function(what)
        return self

    def end(self):
        self.hears("heard.ends.length + heard.fails.length === 1")
        return self.tab.evaluate("(heard.ends[0] ?? heard.fails[0])")


@pytest.fixture
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d" % server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def gateway(up, site, tmp_path):
    config = f"{COMMON}\nallow_origins: ['{site}']\nroutes:\n  - {{ path: /sse-proxy, upstream: '{up.url}/generate', grace: 5s }}\n"
    with Gateway(config, tmp_path) as gateway:
        yield gateway


@pytest.fixture
def tab(browser, site, wire):
    page = browser.new_page()
    page.goto(site)
    page.wait_for_function("window.handlers")
    yield Tab(page, wire.url)
    page.close()


ASK = 'window.answer = client.ask({ url: gateway + "sse-proxy", prompt: "hello" }, handlers);'
SOURCE = 'window.answer = client.source(gateway + "sse-proxy?prompt=hello", handlers);'


def begin(up, tab, how):
    tab.run(how)
    assert up.expect_request().prompt == "hello"
    up.head().tokens(*TOKENS[:2])
    return tab.hears("heard.tokens.length === 2")


@pytest.mark.parametrize("how", [ASK, SOURCE], ids=["ask", "source"])
def test_another_origin_asks_is_cut_comes_back_and_verifies(up, tab, wire, how):
    begin(up, tab, how)
    wire.cut()
    tab.hears('heard.states.includes("reconnecting")')
    up.tokens(TOKENS[2]).event("done", "close").end()
    end = tab.end()
    assert (end["end"], end["verified"], end["text"], end["events"]) == ("complete", True, "".join(TOKENS), 3)
    assert up.requests == 1


def test_a_native_source_that_is_lost_before_its_first_byte_pays_once(up, tab, wire):
    wire.deaf = True
    tab.run(SOURCE)
    up.expect_request()
    wire.deaf = False
    wire.cut()
    up.head().tokens(*TOKENS).event("done", "close").end()
    assert tab.end()["text"] == "".join(TOKENS)
    assert up.requests == 1


@pytest.mark.parametrize("how", [ASK, SOURCE], ids=["ask", "source"])
def test_another_origin_stops(up, tab, how):
    begin(up, tab, how)
    tab.run("answer.stop();")
    up.expect_gone(within=1)
    assert tab.end()["end"] == "stopped"


@pytest.mark.parametrize("how", [ASK, SOURCE], ids=["ask", "source"])
def test_a_failure_is_one(up, tab, how):
    begin(up, tab, how)
    up.cut()
    end = tab.end()
    assert (end["end"], end["cause"], end["verified"], end["text"]) == ("failed", "cut", True, "".join(TOKENS[:2]))


def test_a_native_source_is_closed_at_the_end(up, tab):
    begin(up, tab, SOURCE)
    up.event("done", "close").end()
    assert tab.end()["end"] == "complete"
    assert tab.run("return answer.native.readyState;") == 2
    assert up.requests == 1


def test_a_native_source_that_was_given_up_says_so(tab):
    tab.run('window.answer = client.source(gateway + "nowhere", handlers);')
    end = tab.end()
    assert (end["end"], end["cause"]) == ("failed", "lost")


def test_an_origin_that_is_not_allowed_is_told_nothing(up, tab, browser, site):
    tab.tab.goto(site.replace("127.0.0.1", "localhost"))
    tab.hears("window.handlers")
    tab.run(ASK)
    tab.hears('heard.states.includes("reconnecting")').run("answer.leave();")
    end = tab.end()
    assert (end["end"], end["text"]) == ("left", "")
    assert up.requests == 0


def test_a_page_watches_what_another_began(up, tab, browser, site):
    begin(up, tab, ASK)
    stream = tab.run("return answer.url;")
    other = Tab(browser.new_page(), stream)
    other.tab.goto(site)
    other.hears("window.handlers").run("window.answer = client.watch(gateway, handlers);")
    other.hears("heard.tokens.length === 2")
    up.tokens(TOKENS[2]).event("done", "close").end()
    for each in tab, other:
        end = each.end()
        assert (end["end"], end["verified"], end["text"]) == ("complete", True, "".join(TOKENS))
    other.tab.close()


def test_an_iterator_in_a_browser(up, tab):
    tab.run(ASK + "window.read = []; (async () => { for await (const token of answer) read.push(token); read.push(null); })();")
    up.expect_request()
    up.head().tokens(*TOKENS).event("done", "close").end()
    tab.hears("read.at(-1) === null")
    assert tab.run("return read;") == [*TOKENS, None]
