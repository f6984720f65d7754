"""A gateway under test: a process of its own, a configuration in a file, ports chosen by the kernel.

The binary is build/lastword, or what LASTWORD names (build/asan/lastword, build/tsan/lastword). Its end is part of every test:
a drain must exit with 0, and no sanitizer may have written a word.
"""

import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

from upstream import wait_until
from viewer import DEADLINE, Viewer, fetch

ROOT = Path(__file__).resolve().parents[2]
LISTENING = re.compile(r"lastword: listening on (https?)://([^ ]+):(\d+)(?: \(admin http://([^ ]+):(\d+)\))?\n")
SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:|CHECK failed")


def binary():
    path = Path(os.environ.get("LASTWORD", ROOT / "build/lastword"))
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make gateway`")
    return path.resolve()


class Gateway:
    tls = None   # an SSLContext for its viewers

    def __init__(self, config, directory, *args):
        """config: the text of a YAML file, or None to give everything by args."""
        self.command = [str(binary()), *args]
        if config is not None:
            file = Path(directory) / "lastword.yaml"
            file.write_text(config)
            self.command += ["--config", str(file)]
        self.stderr = ""
        self.process = None

    def start(self):
        # A sanitized gateway has no model server beside it: there is one build of that.
        environment = os.environ | {"PATH": f"{ROOT / 'build'}:{os.environ['PATH']}"}
        self.process = subprocess.Popen(self.command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()
        line = self._first_line()
        said = LISTENING.fullmatch(line)
        if not said:
            self._give_up()
            raise AssertionError(f"no listening line but {line!r}\n{self.stderr}")
        self.scheme, self.address = said[1], (said[2], int(said[3]))
        self.admin = (said[4], int(said[5])) if said[4] else None
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def viewer(self):
        return Viewer(self.address, self.tls)

    def ask(self, target, **how):
        """One whole exchange on the public listener."""
        return fetch(self.address, target, tls=self.tls, **how)

    def ask_admin(self, target, **how):
        return fetch(self.admin, target, **how)

    def metrics(self):
        """{'lastword_streams_live': 0.0, 'lastword_streams_ended_total{route="/text",…}': 1.0}"""
        text = self.ask_admin("/metrics").body.decode()
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def metric(self, family, **labels):
        """The sum of a family's samples that carry these labels."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(value for name, value in self.metrics().items()
                   if name.partition("{")[0] == family and wanted <= set(re.findall(r'\w+="[^"]*"', name)))

    def logged(self):
        """What was logged so far, one dict a line."""
        return [json.loads(line) for line in self.stderr.splitlines() if line.startswith("{")]

    def signal(self, number):
        self.process.send_signal(number)

    def pause(self):
        """SIGSTOP; SIGCONT lets it go on."""
        self.signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")
        wait_until(lambda: all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()), "the pause")

    def wait(self, within=30):
        code = self.process.wait(within)
        self._collector.join(within)
        return code

    def stop(self):
        """SIGTERM, and everything that must hold at the end."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still there 30 s after SIGTERM\n{self.stderr}")
        assert not SANITIZER.search(self.stderr), self.stderr
        assert code == 0, f"exit status {code}\n{self.stderr}"

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.wait()

    def _give_up(self):
        """It did not begin: lets it say why and leave."""
        try:
            self.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()

    def _collect(self):
        for piece in iter(lambda: self.process.stderr.read(65536), b""):
            self.stderr += piece.decode("utf-8", "replace")

    def _first_line(self):
        line, deadline = b"", time.monotonic() + 3 * DEADLINE
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                break
            byte = self.process.stdout.read(1)
            if not byte:
                break
            line += byte
        return line.decode("utf-8", "replace")
