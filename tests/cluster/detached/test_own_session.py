"""A process of its own session: no terminal ends it, and it reads nothing of ours."""

import os
import signal
import sys

from cluster.detached.own_session import start_session

ASKED = """
import os, signal, sys
print(os.getsid(0) == os.getpid(), signal.getsignal(signal.SIGHUP) is signal.SIG_IGN,
      sys.stdin.read() == "", os.environ["LAB"])
"""


def test_it_leads_a_session_ignores_sighup_and_appends(tmp_path):
    output = tmp_path / "folder" / "log.txt"
    before = signal.getsignal(signal.SIGHUP)
    for _ in range(2):
        pid = start_session([sys.executable, "-c", ASKED], {**os.environ, "LAB": "x"}, output)
        assert os.waitpid(pid, 0)[1] == 0
    assert signal.getsignal(signal.SIGHUP) is before
    assert output.stat().st_mode & 0o777 == 0o600  # nothing takes secrets out of it
    assert output.read_text() == "True True True x\n" * 2
