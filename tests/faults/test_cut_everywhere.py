"""The cuts, thinned: every fiftieth byte and every place where something changes; and the checker itself put to the test."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("cut_everywhere.py")


def cut(*options):
    done = subprocess.run([sys.executable, SCRIPT, "--every", "50", *options], stdout=subprocess.PIPE, text=True)
    runs, wrong = map(int, re.search(r"^(\d+) runs, (\d+) wrong, \d+ s$", done.stdout, re.MULTILINE).groups())
    assert done.returncode == (1 if wrong else 0), done.stdout
    return runs, wrong, done.stdout


def lie(name):
    return cut("--break", name, "--dialect", "openai-completions")


def test_every_cut_gets_its_right_end():
    runs, wrong, said = cut()
    assert runs > 15000 and wrong == 0, said


def test_a_proxy_that_tells_no_lie_is_not_blamed():
    runs, wrong, said = lie("nothing")
    assert runs > 300 and wrong == 0, said


@pytest.mark.parametrize("name", ["always-failed", "always-close", "half-event",
                                  "done-after-error", "no-error", "half-frame"])
def test_a_broken_gateway_is_caught(name):
    runs, wrong, said = lie(name)
    assert wrong > 0 and "wrong: " in said
