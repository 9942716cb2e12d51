import os
import subprocess
import sys

from cluster.machine import memory_use


def test_a_large_process_beside_is_named_with_whether_it_shares_our_limit(monkeypatch):
    code = "import time; taken = bytearray(b'1') * 150_000_000; print(flush=True); time.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "OF_LAUNCH": "one"},
    )
    try:
        process.stdout.readline()
        monkeypatch.setattr(memory_use, "_LARGEST", 1000)
        (found,) = [one for one in memory_use.largest_others() if one["pid"] == process.pid]
        assert found["gb"] >= 0.15 and found["in_group"]
        monkeypatch.setattr(memory_use, "_groups", str)
        (found,) = [one for one in memory_use.largest_others() if one["pid"] == process.pid]
        assert not found["in_group"]
        theirs = memory_use.largest_others(("OF_LAUNCH", "another"))
        assert process.pid in {one["pid"] for one in theirs}
        theirs = memory_use.largest_others(("OF_LAUNCH", "one"))  # a worker of our own launch
        assert process.pid not in {one["pid"] for one in theirs}
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
