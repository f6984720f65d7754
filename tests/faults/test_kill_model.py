"""The model server is killed in mid-answer: five of the hundred times that `make kills` counts."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("kill_model.py")


def test_a_killed_model_is_a_cut_and_a_killed_gateway_leaves_nothing_behind():
    done = subprocess.run([sys.executable, SCRIPT, "--runs", "5"], stdout=subprocess.PIPE, text=True)
    said = re.search(r"^5 runs, 0 wrong, (\d+) later than 250 ms, longest \d+ ms; no process left behind$", done.stdout, re.MULTILINE)
    assert said, done.stdout
    assert done.returncode == 0 or int(said[1]) > 0, done.stdout  # how late is for `make kills` to judge, on a quiet machine
