"""What the kernel says of a process, whatever its command is called."""

import os
import shutil
import subprocess
import threading
import time

from cluster.machine.process_stat import process_stat


def test_this_process_and_its_thread():
    stat = process_stat(os.getpid())
    assert stat.started == process_stat(os.getpid()).started
    assert not stat.has_ended and not stat.is_stopped and stat.started > 0
    assert process_stat(os.getpid(), threading.get_native_id()).state == "R"


def test_a_name_with_blanks_and_parentheses_and_one_that_has_ended(tmp_path):
    odd = shutil.copy("/bin/sleep", tmp_path / "a) Z 1 (b")
    process = subprocess.Popen([odd, "600"])
    try:
        before = process_stat(process.pid)
        assert not before.has_ended
        process.kill()
        until = time.monotonic() + 10
        while not process_stat(process.pid).has_ended and time.monotonic() < until:
            pass
        assert process_stat(process.pid).started == before.started
        assert process_stat(process.pid).state == "Z"
    finally:
        process.kill()
        process.wait()
    assert process_stat(process.pid) is None
