"""What the machine does to a gateway: stops it, runs it out of descriptors, sends it a herd."""

import os
import resource
import select
import signal
import time

from conftest import route
from upstream import wait_until
from viewer import Viewer


def test_E10_after_a_pause_what_waits_is_read_before_clocks_are_judged(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate", "idle: 500ms, grace: 5min"))
    viewers = []
    for _ in range(20):
        viewer = gateway.viewer().watch("/text?prompt=hi")
        up.expect_request()
        up.head().event("a")
        viewer.expect("a", id=1)
        viewers.append(viewer)
    gateway.pause()
    stopped = time.monotonic()
    for exchange in up.exchanges:
        exchange.event("b")
    wait_until(lambda: time.monotonic() > stopped + 1, "twice the idle clock")
    gateway.signal(signal.SIGCONT)
    for viewer in viewers:
        viewer.expect("b", id=2)
    for exchange in up.exchanges:
        exchange.done()
    for viewer in viewers:
        viewer.expect_last_word("finished", events=2)


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def has_answer(viewer):
    return bool(select.select([viewer.socket], [], [], 0)[0])


def test_E5_without_descriptors_the_gateway_waits_quietly_and_recovers(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate"))
    pid = gateway.process.pid
    running = gateway.viewer().watch("/text?prompt=hi")
    up.expect_request()
    up.head()
    open_now = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now + 3, 20000))
    herd = [gateway.viewer().ask("/nowhere") for _ in range(20)]
    wait_until(lambda: sum(map(has_answer, herd)) >= 2, "those for whom there were descriptors")
    for viewer in filter(has_answer, herd):
        viewer.expect_error(404)
    began, used = time.monotonic(), cpu_seconds(pid)
    wait_until(lambda: time.monotonic() > began + 1, "a second of want")
    assert cpu_seconds(pid) - used < 0.3, "a busy loop"
    up.event("a")
    running.expect("a", id=1)
    for viewer in herd:
        viewer.cut()
    gateway.viewer().ask("/nowhere").expect_error(404)
    up.done()
    running.expect_last_word("finished")


def test_E5_an_upstream_connection_that_cannot_be_opened_is_said(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate"))
    pid = gateway.process.pid
    viewer = gateway.viewer().ask("/nowhere")
    viewer.expect_error(404)
    open_now = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now, 20000))
    viewer.watch("/text?prompt=hi")
    viewer.wait(lambda: viewer.response.end, "the end")
    assert viewer.expect_end(viewer.reader.events[-1].data.split('"cause":"')[1].split('"')[0]).word == "failed"
    assert up.requests == 0


def test_E19_a_herd_of_reconnects_after_a_restart_starts_nothing_twice(gateway_with, up):
    gateway = gateway_with("", route("/text", up.url + "/generate"))
    herd = [Viewer(gateway.address).ask("/text?prompt=hi", headers={"Last-Event-ID": f"{n:022d}.5"}) for n in range(500)]
    for viewer in herd:
        viewer.expect_last_word("forgotten")
        viewer.cut()
    assert up.requests == 0
