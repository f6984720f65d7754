"""The thinned run of reload_under_load.py: `make reloads` is the whole one."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("reload_under_load.py")


def test_E2_reloads_break_nothing_and_E1_a_drain_tells_everybody():
    run = subprocess.run([sys.executable, str(SCRIPT), "--reloads", "40", "--rate", "100", "--drained", "200"],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stdout.endswith("\n0 wrong\n"), run.stdout + run.stderr
