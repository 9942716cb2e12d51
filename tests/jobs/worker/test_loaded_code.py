"""Loaded code, set apart from collections of garbage."""

import gc
import subprocess
import sys
import weakref

from cluster.executor import Surroundings
from jobs.run import run
from jobs.worker import loaded_code

UNFREEZE = gc.unfreeze
"""What it does while no test of a file keeps it from anything."""


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self):
        self.itself = self


def test_a_collection_looks_at_what_came_later_alone_and_still_finds_it():
    code = (
        "import gc, tests.jobs.worker.test_loaded_code as t;"
        "t.loaded_code.set_loaded_code_apart(is_own_process=True);"
        "print(len(gc.get_objects()), gc.get_freeze_count());"
        "t.check_rings_go()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    looked_at, apart = map(int, run.stdout.split())
    assert looked_at < apart / 20


def check_rings_go():
    """Make garbage before the next job, and after its begin: neither stays."""
    gc.disable()
    before = weakref.ref(Ring())
    sys.modules["another module"] = sys
    loaded_code.set_loaded_code_apart(is_own_process=True)
    after = weakref.ref(Ring())
    assert before() is None and after() is not None
    gc.collect()
    assert after() is None


def is_looked_at(ring):
    return any(each is ring for each in gc.get_objects())


def test_what_jobs_load_in_the_process_of_a_launch_is_apart_until_it_ends(monkeypatch):
    monkeypatch.setattr(gc, "unfreeze", UNFREEZE)
    with loaded_code.launch_set_apart():
        loaded = Ring()
        monkeypatch.setitem(sys.modules, "loaded by a job", sys)
        run("no job", Surroundings())
        assert not is_looked_at(loaded)
    assert is_looked_at(loaded)


def test_objects_of_a_process_that_is_neither_a_workers_nor_a_launchs_stay_where_they_are(
    monkeypatch,
):
    made = Ring()
    monkeypatch.setitem(sys.modules, "loaded by somebody", sys)
    run("no job", Surroundings())
    assert is_looked_at(made)
