"""Programs that use the official clients: in which Python, and where Node finds the packages."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from gateway import ROOT  # noqa: E402

INSTALLED = ROOT / "build/sdk"
ENVIRONMENT = {"NO_PROXY": "127.0.0.1", "LANGSMITH_TRACING": "false", "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}


def run(program, said=""):
    """Runs a file to its end; `said` is its standard input."""
    if program.suffix == ".py":
        command = [INSTALLED / "venv/bin/python3", program]
    else:
        command = ["node", [place(file) for file in (HERE / "cell.mjs", program)][-1]]
    return subprocess.run(command, input=said, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT}, timeout=600)


def place(file):
    """Node looks for packages beside the file. Other programs may read the old one at this moment."""
    new = INSTALLED / f".{file.name}.{threading.get_ident()}"
    shutil.copy(file, new)
    return new.rename(INSTALLED / file.name)
