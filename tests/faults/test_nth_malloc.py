"""Memory that runs out, thinned: `make mallocs` lets every allocation fail. And the judge itself put to the test."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("nth_malloc.py")


def starve(*options):
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True)
    runs, wrong = map(int, re.search(r"^(\d+) runs, (\d+) wrong, \d+ s$", done.stdout, re.MULTILINE).groups())
    assert done.returncode == (1 if wrong else 0), done.stdout + done.stderr
    refused = re.search(r"^(\d+) runs in which something was refused", done.stdout, re.MULTILINE)
    return runs, wrong, int(refused[1]), done.stdout


@pytest.mark.parametrize("options", [("--every", "13"), ("--every", "19", "--many", "6", "--workers", "2"), ("--every", "149", "--tls")],
                         ids=["one", "six", "tls"])
def test_E7_an_allocation_that_fails_is_a_refusal_or_a_failed_stream(options):
    runs, wrong, refused, said = starve(*options)
    assert wrong == 0 and refused > 0, said


if "/asan/" not in os.environ.get("LASTWORD", ""):   # leaks are the sanitizer's there
    def test_a_leak_is_seen():
        runs, wrong, refused, said = starve("--only", "300", "--break", "leak")
        assert wrong == 1 and "never given back" in said


def test_a_close_that_is_not_true_is_seen():
    done = subprocess.run([sys.executable, SCRIPT, "--only", "1", "--break", "token"], capture_output=True, text=True)
    assert done.returncode == 1 and "wrong while nothing fails" in done.stderr
