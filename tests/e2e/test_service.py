"""lastword as a service: what it tells its supervisor, and what `make install` puts where."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import pytest
from conftest import COMMON, route
from gateway import ROOT, Gateway, binary
from viewer import DEADLINE

ROUTES = "\n".join([COMMON, "routes:", route("/text", "http://127.0.0.1:9/generate")])


class Supervisor:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name.replace("@", "\0", 1))
        self.socket.settimeout(DEADLINE)

    def told(self):
        """One message: {'READY': '1', …}"""
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())


@pytest.fixture(params=["path", "abstract"])
def supervisor(request, monkeypatch):
    with tempfile.TemporaryDirectory(prefix="lw") as directory:
        name = f"{directory}/notify" if request.param == "path" else f"@lastword-{os.getpid()}-{request.node.name[-20:]}"
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        supervisor = Supervisor(name)
        yield supervisor
        supervisor.socket.close()


@pytest.mark.check
def test_a_supervisor_is_told_of_the_start_the_reload_and_the_drain(supervisor, tmp_path):
    with Gateway(ROUTES, tmp_path) as gateway:
        host, port = gateway.address
        assert supervisor.told() == {"READY": "1", "STATUS": f"listening on http://{host}:{port}"}

        before = time.monotonic_ns() // 1000
        gateway.signal(signal.SIGHUP)
        reloading = supervisor.told()
        assert reloading.pop("RELOADING") == "1" and before <= int(reloading.pop("MONOTONIC_USEC")) <= time.monotonic_ns() // 1000
        assert reloading == {} and supervisor.told() == {"READY": "1"}

        (tmp_path / "lastword.yaml").write_text("nonsense: true\n")
        gateway.signal(signal.SIGHUP)
        assert "RELOADING" in supervisor.told() and supervisor.told() == {"READY": "1"}

        gateway.stop()
        assert supervisor.told()["STOPPING"] == "1"


@pytest.mark.parametrize("name", ["/nowhere/notify", "relative", "@" + "x" * 200])
def test_a_supervisor_that_is_not_there_stops_nothing(name, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    with Gateway(ROUTES, tmp_path) as gateway:
        assert gateway.ask("/").status == 200
        gateway.stop()
        assert name in next(line["message"] for line in gateway.logged() if line["event"] == "notify")


def install(into, *words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(["make", "-s", *words, f"DESTDIR={into}", "PREFIX=/usr"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def installed(tmp_path):
    into = tmp_path / "root"
    install(into, "install")
    return into


def test_what_is_installed_is_whole_and_starts(installed, tmp_path):
    config, unit = installed / "etc/lastword/lastword.yaml", installed / "usr/lib/systemd/system/lastword.service"
    assert (installed / "usr/share/man/man1/lastword.1").read_text().startswith(".TH LASTWORD 1")
    programs = set(re.findall(r"^Exec\w+=(\S+lastword)", unit.read_text(), re.M))
    assert programs == {"/usr/bin/lastword"} and "@" not in re.sub("@system-service", "", unit.read_text())
    for program in programs:
        checked = subprocess.run([f"{installed}{program}", "--config", config, "--check-config"], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
    assert f"--config {str(config).removeprefix(str(installed))}" in unit.read_text()


def test_installing_again_keeps_the_configuration_and_uninstalling_too(installed):
    config = installed / "etc/lastword/lastword.yaml"
    config.write_text("# mine\n")
    install(installed, "install")
    assert config.read_text() == "# mine\n"
    install(installed, "uninstall")
    assert [path for path in installed.rglob("*") if path.is_file()] == [config]


def test_the_unit_waits_longer_than_a_drain_and_stops_only_the_gateway():
    unit = (ROOT / "examples/systemd/lastword.service.in").read_text()
    assert "KillMode=mixed" in unit and "Type=notify" in unit
    drain = re.search(r"^drain: (\d+)s", subprocess.run([binary(), "--upstream", "http://127.0.0.1:9/", "--check-config"],
                                                        capture_output=True, text=True).stdout, re.M)
    minutes = re.search(r"^TimeoutStopSec=(\d+)min", unit, re.M)
    assert int(minutes[1]) * 60 > int(drain[1]) + 10
