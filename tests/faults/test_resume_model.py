"""Coming back, two thousand times by a new seed each time; and the model itself put to the test."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("resume_model.py")


def resume(*options):
    done = subprocess.run([sys.executable, SCRIPT, "--resumes", "2000", *options], stdout=subprocess.PIPE, text=True)
    resumes, wrong = map(int, re.search(r"^(\d+) resumes, (\d+) wrong, \d+ s$", done.stdout, re.MULTILINE).groups())
    assert done.returncode == (1 if wrong else 0), done.stdout
    return resumes, wrong, done.stdout


def test_every_resume_is_answered_as_the_model_predicts():
    resumes, wrong, said = resume()
    assert resumes >= 2000 and wrong == 0, said


@pytest.mark.parametrize("lie", ["gap", "twice", "word", "forgotten"])
def test_a_broken_gateway_is_caught(lie):
    resumes, wrong, said = resume("--break", lie)
    assert wrong > 0 and "wrong: " in said
