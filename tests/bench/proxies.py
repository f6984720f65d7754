"""What is compared: each proxy with the configuration that someone who knows it well would write for event streams.

One process or thread on one core for everybody: what is measured is the cost of an event, not how well work spreads.
Connections to the upstream are kept by everybody who can. A proxy runs from a directory of its own and is ended by its
process id. Under `slow` (callgrind) nginx runs without its master process, so that one process is all there is.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

BUILD = Path(os.environ.get("BENCH_BUILD", "build/bench"))
LASTWORD = BUILD / "lastword"  # bench.py's own copy, so that a build in the meantime changes nothing
PROXY_CORE = 1
LOAD_CORE = 0
WORKERS = 1  # of lastword
CONNECTIONS = 9000

NGINX = """
user {user};
daemon off;
{master}
worker_processes 1;
worker_rlimit_nofile 20000;
error_log stderr crit;
pid {dir}/pid;
events {{ worker_connections 19000; }}
http {{
	access_log off;
	tcp_nodelay on;
	keepalive_requests 1000000;
	client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
	upstream model {{ server 127.0.0.1:{upstream}; keepalive 1000; keepalive_requests 1000000; }}
	server {{
		listen 127.0.0.1:{port} backlog=4096;
		location / {{
			proxy_pass http://model;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_buffering off;
			proxy_request_buffering off;
			proxy_read_timeout 1h;
		}}
	}}
}}
"""

HAPROXY = """
global
	nbthread 1
	maxconn {connections}
defaults
	mode http
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	option http-keep-alive
	option http-no-delay
	http-reuse always
frontend clients
	bind 127.0.0.1:{port} backlog 4096
	default_backend model
backend model
	server model 127.0.0.1:{upstream} pool-max-conn 1000
"""

LASTWORD_YAML = """
listen: 127.0.0.1:{port}
admin: none
workers: {workers}
memory: 4GiB
limits: {{ streams: {connections}, connections: 19000 }}
routes:
  - path: /text
    upstream: http://127.0.0.1:{upstream}/generate
    dialect: text
  - path: /chat
    upstream: http://127.0.0.1:{upstream}/v1/chat/completions
    dialect: openai-chat
  - path: /v1/*
    upstream: http://127.0.0.1:{upstream}/v1
"""


def written(directory, name, template, **words):
    path = directory / name
    path.write_text(template.format(dir=directory, connections=CONNECTIONS, **words))
    return str(path)


def relay(directory, port, upstream, slow):
    return [str(BUILD / "relay"), str(port), str(upstream)]


def fan(directory, port, upstream, slow):
    return [str(BUILD / "fan"), str(port), str(upstream)]


def goproxy(directory, port, upstream, slow):
    return [str(BUILD / "goproxy"), str(port), str(upstream)]


def nginx(directory, port, upstream, slow):
    words = dict(port=port, upstream=upstream, master="master_process off;" if slow else "",
                 user="root" if os.geteuid() == 0 else "nobody")
    return ["nginx", "-p", str(directory), "-e", "stderr", "-c", written(directory, "nginx.conf", NGINX, **words)]


def haproxy(directory, port, upstream, slow):
    return ["haproxy", "-db", "-q", "-f", written(directory, "haproxy.cfg", HAPROXY, port=port, upstream=upstream)]


def lastword(directory, port, upstream, slow):
    return [str(LASTWORD), "--config", written(directory, "lastword.yaml", LASTWORD_YAML, port=port, upstream=upstream, workers=WORKERS)]


class Contender:
    """A proxy and one way to ask it."""

    def __init__(self, name, command, program, ask=(), can_be_slow=True):
        self.name, self.command, self.program, self.ask, self.can_be_slow = name, command, program, list(ask), can_be_slow

    def is_there(self):
        return shutil.which(self.program) is not None or os.access(self.program, os.X_OK)


FLOOR = "relay (floor)"
FAN = Contender("bare fan-out", fan, str(BUILD / "fan"), ["--join-alike"])
CLOSE = ["--last-word", "event: close"]
ALL = [
    Contender(FLOOR, relay, str(BUILD / "relay")),
    Contender("nginx", nginx, "nginx"),
    Contender("HAProxy", haproxy, "haproxy"),
    Contender("Go copy proxy", goproxy, str(BUILD / "goproxy"), can_be_slow=False),
    Contender("lastword, text", lastword, str(LASTWORD), ["--target", "/text?prompt=Hello", *CLOSE]),
    Contender("lastword, openai-chat", lastword, str(LASTWORD), ["--chat", "--target", "/chat", *CLOSE]),
    Contender("lastword, /v1 pipe", lastword, str(LASTWORD), ["--chat", "--target", "/v1/chat/completions"]),
]


def free_ports(n):
    """Below the ports that the kernel gives to connections, which come and go by the thousand here."""
    found = []
    for port in range(21000, 32000):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                s.listen(1)
            except OSError:
                continue
            found.append(port)
        if len(found) == n:
            return found
    raise SystemExit("bench: no free ports")


def family_of(pid):
    """The process and its children, theirs included."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            pids += family_of(int(child))
    return pids


def cores_of(contender):
    """One core for each worker, and where there are none left, the load's too."""
    workers = WORKERS if contender.command is lastword else 1
    others = [core for core in range(PROXY_CORE, os.cpu_count()) if core != LOAD_CORE]
    return set(others[:workers] if workers <= len(others) else [LOAD_CORE, *others])


class Proxy:
    """One contender as a running process, between two ports."""

    def __init__(self, contender, under=(), slow=False):
        self.upstream, self.port = free_ports(2)
        directory = (BUILD / "run" / contender.command.__name__).resolve()
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        command = contender.command(directory, self.port, self.upstream, slow)
        self.log = open(directory / "log", "w")
        self.cores = cores_of(contender)
        self.process = subprocess.Popen([*under, *command], stdout=self.log, stderr=self.log,
                                        preexec_fn=lambda: os.sched_setaffinity(0, self.cores))
        self.wait_until_it_listens(30)

    def wait_until_it_listens(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"does not start; see {self.log.name}")

    def pids(self):
        return family_of(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
