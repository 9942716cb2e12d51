"""A worker of a Ray of our own is ready for its first job before that comes."""

import json
import subprocess
import sys

import psutil

_READY = """
import json, os, sys
import jobs.worker_start
import psutil
loaded = [name for name in sys.argv[1:] if name in sys.modules]
(keeper,) = psutil.Process().children()
print(json.dumps([keeper.pid, keeper.create_time(), loaded]), flush=True)
import jobs.run
jobs.run.prepare_process()
print(json.dumps([child.pid for child in psutil.Process().children()]), flush=True)
sys.stdin.read()
"""
FOR_FEW_JOBS = (
    *("cluster.chaos.injector", "cluster.gangs.gang", "jobs.entries.own_entries"),
    *("jobs.hub.shelf", "jobs.text.hub_data", "numpy", "ray", "torch"),
)


def test_a_worker_that_starts_has_its_keeper_and_loads_nothing_that_few_jobs_need():
    words = [sys.executable, "-c", _READY, *FOR_FEW_JOBS]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdin and worker.stdout
        keeper, began, loaded = json.loads(worker.stdout.readline())
        assert loaded == []
        # The first call prepares nothing anew.
        assert json.loads(worker.stdout.readline()) == [keeper]
        process = psutil.Process(keeper)
        assert process.create_time() == began
        worker.stdin.close()
        worker.wait(60)
        process.wait(60)  # it goes with its worker, though it never kept a log
