"""A launch that a script put into the background hears what it is told."""

import subprocess
import sys

CHILD = """
import os, signal, subprocess, sys
from orchestrator.dispatch.interruption import restore_sigint
restore_sigint()
words = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
child.stdout.readline()
child.send_signal(signal.SIGINT)
assert child.wait(30) == -signal.SIGINT, child.returncode
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("heard")
"""


def test_a_launch_started_with_sigint_ignored_hears_it_and_so_do_its_children():
    script = 'trap "" INT; exec "$0" -c "$1"'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable, CHILD], capture_output=True, text=True, timeout=90
    )
    assert done.stdout == "heard\n", done.stderr
