"""The command line and the file, from the outside: exit status, the place of a mistake, nothing started in between."""

import os
import socket
import subprocess

import pytest
from gateway import ROOT, binary

HELP_COLUMNS = 100
EXAMPLE = ROOT / "docs/lastword.example.yaml"
ROUTE = "routes:\n  - {{ path: /x, upstream: http://127.0.0.1:9/generate, {} }}\n"

pytestmark = pytest.mark.check


def lastword(*args, env=None):
    """What the program says when it is not to serve: (status, stdout, stderr)."""
    done = subprocess.run(
        [binary(), *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **(env or {})},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def check(tmp_path):
    """Checks a file with this text; answers status, stdout, and stderr without the name of the directory."""

    def check_text(text, *args, **more):
        file = tmp_path / "lw.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        status, out, err = lastword("--config", file, "--check-config", *args, **more)
        return status, out, err.replace(f"{tmp_path}/", "")

    return check_text


def expect_refusal(answer, *words):
    status, out, err = answer
    assert status == 2, err
    assert out == ""
    assert err.count("\n") == 1 and err.endswith("\n"), f"not one line: {err!r}"
    for word in words:
        assert word in err


# What needs no configuration.


def test_version():
    version = (ROOT / "VERSION").read_text().strip()
    assert lastword("--version") == (0, f"lastword {version}\n", "")


def test_help_has_every_flag_and_key_in_readable_columns():
    status, out, err = lastword("--help")
    assert (status, err) == (0, "")
    for word in ["usage:", "--config", "--listen", "--admin", "--upstream", "--model", "--workers", "--check-config"]:
        assert word in out
    for key in ["heartbeat", "limits.body", "model.context", "write_timeout", "end_marker", "done_after_error"]:
        assert key in out
    assert "Examples" in out
    assert max(map(len, out.splitlines())) <= HELP_COLUMNS


def test_help_wins_over_what_follows():
    assert lastword("--help", "--nonsense")[0] == 0


# The command line.


@pytest.mark.parametrize(
    "args, words",
    [
        (["--listn", ":1"], ["lastword: --listn: ", "did you mean --listen?"]),
        (["--listen"], ["lastword: --listen: ", "expected"]),
        (["--listen", "8080"], ["lastword: --listen: ", "no port", "expected"]),
        (["--listen", "127.0.0.1:99999"], ["lastword: --listen: ", "expected"]),
        (["--listen", ":1", "--listen", ":2"], ["lastword: --listen: ", "twice"]),
        (["--admin", "nowhere"], ["lastword: --admin: ", "expected"]),
        (["--workers", "many"], ["lastword: --workers: ", "expected"]),
        (["--workers", "257"], ["lastword: --workers: ", "at most 256"]),
        (["--upstream", "ftp://h/"], ["lastword: --upstream: ", "expected"]),
        (["--model", "none"], ["lastword: --model: ", "needs it as its upstream"]),
        (["--listen", ":1", "check"], ["lastword: check: ", "expected"]),
        (["serve"], ["lastword: serve: ", "expected"]),
        (["--config", "/nowhere/lw.yaml"], ["/nowhere/lw.yaml: no such file"]),
        (["--config", "/"], ["is a directory"]),
        (["--config", "/dev/zero"], ["too large"]),
    ],
    ids=lambda value: " ".join(value[:2]),
)
def test_a_wrong_command_line_is_named(args, words):
    expect_refusal(lastword(*args), *words)


def test_flags_win_over_the_file(check):
    status, out, _ = check("listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\n", "--listen", "127.0.0.1:3", "--admin", "none")
    assert status == 0
    assert "listen: 127.0.0.1:3\nadmin: none\n" in out


def test_upstream_without_a_file_is_the_only_route():
    status, out, _ = lastword("--upstream", "http://127.0.0.1:9/generate", "--check-config")
    assert status == 0
    assert [line for line in out.splitlines() if "path:" in line] == ["  - path: /sse-proxy"]
    assert "upstream: model" not in out


def test_upstream_needs_the_pages_route(check):
    answer = check(ROUTE.format("data: json"), "--upstream", "http://127.0.0.1:9/")
    expect_refusal(answer, "lastword: --upstream: ", "/sse-proxy")


# The file.


@pytest.mark.parametrize(
    "text, words",
    [
        ("\nheartbaet: 5s\n", ["lw.yaml:2:1: ", 'did you mean "heartbeat"?']),
        ("limits:\n  bodyy: 1\n", ["lw.yaml:2:3: ", 'did you mean "body"?']),
        (ROUTE.format("gracee: 5s"), ["lw.yaml:2:", 'did you mean "grace"?']),
        ("heartbeat: 15\n", ["lw.yaml:1:12: heartbeat: ", "no unit", "expected a duration"]),
        ("heartbeat: [1s]\n", ["lw.yaml:1:12: heartbeat: ", "a list", "expected a duration"]),
        ("memory: 1MB\n", ["lw.yaml:1:9: memory: ", "expected a size"]),
        ("retry: 0\n", ["lw.yaml:1:8: retry: ", "expected at least"]),
        ("keep: 1s\nkeep: 2s\n", ["lw.yaml:2:1: ", "said before in line 1"]),
        (
            "routes:\n- {path: /x, upstream: model}\n- {path: /x, upstream: model}\n",
            ["lw.yaml:3:10: ", "a second route /x"],
        ),
        ("routes: []\n", ["lw.yaml:1:9: ", "at least one route"]),
        ("routes:\n- {path: /x, upstream: model, grace: 1s}\n", ["lw.yaml:2:", "3 × retry"]),
        (ROUTE.format("request: {a: 1}"), ["lw.yaml:2:", "request: "]),
        (ROUTE.format("auth: client"), ["lw.yaml:2:", "auth: "]),
        (ROUTE.format("auth: env:LASTWORD_NO_SUCH"), ["lw.yaml:2:", "LASTWORD_NO_SUCH"]),
        (ROUTE.format("auth: file:/nowhere/key"), ["lw.yaml:2:", "/nowhere/key"]),
        ("keep: &k 1s\nhold: *k\n", ["lw.yaml:1:7: ", "anchor"]),
        ("keep: 1s\n---\nhold: 1s\n", ["lw.yaml:2:1: ", "second document"]),
        ("hosts: [a\n", ["lw.yaml:2:1: ", "expected YAML"]),
        (b"keep: \xff\n", ["lw.yaml:1:7: ", "expected YAML"]),
        (b"\xef\xbb\xbfkepp: 1s\n", ["lw.yaml:1:1: ", 'did you mean "keep"?']),
        (b"#" * (10 << 20), ["too large"]),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, (str, bytes)) else "",
)
def test_E16_a_wrong_file_is_refused_with_its_place(check, text, words):
    expect_refusal(check(text), *words)


def test_E16_a_byte_order_mark_is_accepted(check):
    status, out, _ = check(b"\xef\xbb\xbfkeep: 7s\n")
    assert status == 0
    assert "keep: 7s\n" in out


def test_E16_a_loop_of_links_and_an_unreadable_file(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    expect_refusal(lastword("--config", tmp_path / "a"), "symbolic links in a circle")
    (tmp_path / "secret").write_text("")
    (tmp_path / "secret").chmod(0)
    if not os.access(tmp_path / "secret", os.R_OK):
        expect_refusal(lastword("--config", tmp_path / "secret"), "may not be read")


def test_the_example_is_fine():
    status, out, err = lastword("--config", EXAMPLE, "--check-config")
    assert (status, err) == (0, "")
    assert out.startswith("listen: 127.0.0.1:8080\n")


def test_the_example_states_the_defaults(check):
    """All that the example says before its routes is what holds without it."""
    of_example = lastword("--config", EXAMPLE, "--check-config")[1]
    of_nothing = check("")[1]
    assert of_example.split("routes:")[0] == of_nothing.split("routes:")[0]


def test_what_is_checked_can_be_configured(check):
    status, out, _ = lastword("--config", EXAMPLE, "--check-config")
    assert status == 0
    assert check(out) == (0, out, "")


def test_F10_secrets_are_not_printed(check):
    env = {"LASTWORD_TEST_KEY": "canary-73"}
    status, out, err = check(ROUTE.format("auth: env:LASTWORD_TEST_KEY"), env=env)
    assert status == 0
    assert "env:LASTWORD_TEST_KEY" in out
    assert "canary" not in out + err
    status, out, err = check(ROUTE.format("auth: canary-73"))
    assert status == 2
    assert "canary" not in out + err


# The listener.

ONE_ROUTE = ["--admin", "none", "--upstream", "http://127.0.0.1:9/"]


def test_E18_a_port_in_use_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = lastword("--listen", f"127.0.0.1:{port}", *ONE_ROUTE)
    assert status == 1
    assert out == ""
    assert str(port) in err


def test_an_address_of_another_machine_is_an_error():
    status, out, err = lastword("--listen", "192.0.2.1:0", *ONE_ROUTE)
    assert status == 1
    assert out == ""
    assert "192.0.2.1" in err
