"""examples/fastapi as it is shipped, in a true browser: native EventSource, a page that knows only `close` and onerror."""

import os
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from browser import expect
from gateway import ROOT, Gateway, binary

EXAMPLE = ROOT / "examples/fastapi"
ANSWER = (EXAMPLE / "answer.txt").read_text().strip()
WORDS = len(ANSWER.split())


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Server:
    """server.py as a process."""

    def __init__(self, *options):
        command = [sys.executable, EXAMPLE / "server.py", "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def origin():
    """Where the page is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=EXAMPLE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d" % server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def arrangement(browser, origin, tmp_path):
    """arrangement("--as-it-was"): the server, and the page that has just pressed Generate."""
    servers, gateways, tabs = [], [], []

    def start(*options):
        server = Server(*options)
        servers.append(server)
        config = (EXAMPLE / "lastword.yaml").read_text()
        for shipped, here in {"127.0.0.1:8080": "127.0.0.1:0", "http://127.0.0.1:8000/generate": server.url,
                              "http://127.0.0.1:8001": origin}.items():
            assert shipped in config
            config = config.replace(shipped, here)
        gateway = Gateway(config, tmp_path).start()
        gateways.append(gateway)
        tab = browser.new_page()
        tabs.append(tab)
        tab.goto(f"{origin}/index.html?gateway=" + quote("http://%s:%d" % gateway.address))
        tab.click("#generate")
        return server, tab

    yield start
    for tab in tabs:
        tab.close()
    for server in servers:
        server.kill()
    for gateway in gateways:
        gateway.stop()


@pytest.mark.parametrize("options", [["--as-it-was"], []], ids=["as-it-was", "cured"])
def test_a_whole_answer_ends_well(arrangement, options):
    _, tab = arrangement("--pace", "0.005", *options)
    expect(tab.locator("#status")).to_have_text("[Generation Complete]")
    expect(tab.locator("#answer")).to_have_js_property("textContent", ANSWER)
    expect(tab.locator("#generate")).to_be_enabled()


@pytest.mark.parametrize("options", [["--as-it-was"], []], ids=["as-it-was", "cured"])
def test_a_server_that_is_killed_is_an_error(arrangement, options):
    server, tab = arrangement("--pace", "0.2", *options)
    expect(tab.locator("#answer")).to_contain_text("blue")
    expect(tab.locator("#status")).to_have_text("Generating…")
    server.kill()
    expect(tab.locator("#status")).to_have_text("Error: the answer broke off.")
    text = tab.locator("#answer").evaluate("node => node.textContent")
    assert ANSWER.startswith(text) and 0 < len(text.split()) < WORDS


def test_a_server_that_is_not_there_is_an_error(arrangement):
    server, tab = arrangement("--pace", "0.005")
    expect(tab.locator("#status")).to_have_text("[Generation Complete]")
    server.kill()
    tab.click("#generate")
    expect(tab.locator("#status")).to_have_text("Error: the answer broke off.")


def test_one_command_starts_all_and_an_interrupt_stops_all():
    ports = dict(zip(["MODEL_PORT", "GATEWAY_PORT", "PAGE_PORT"], map(str, free_ports(3))))
    process = subprocess.Popen([EXAMPLE / "run.sh", "--pace", "0.005"], env={**os.environ, **ports, "LASTWORD": str(binary())},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
                               preexec_fn=listen_to_interrupts)
    try:
        said = [process.stdout.readline() for _ in range(2)]  # the model server and the gateway, in any order
        assert any("listening on http://127.0.0.1:" + ports["GATEWAY_PORT"] in line for line in said), said
        body = subprocess.run(["curl", "-sN", f"http://127.0.0.1:{ports['GATEWAY_PORT']}/sse-proxy?prompt=x"],
                              capture_output=True, text=True, timeout=60).stdout
        assert '"proof":"marker"' in body and "event: close" in body
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
    for port in ports.values():
        socket.create_server(("127.0.0.1", int(port))).close()


def listen_to_interrupts():
    """A background job ignores SIGINT, its children too, and a shell cannot trap what it was born to ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def free_ports(count):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
