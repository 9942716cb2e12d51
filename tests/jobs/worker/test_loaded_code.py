"""Loaded code, set apart from collections of garbage."""

import gc
import subprocess
import sys
import weakref

from jobs.worker import loaded_code


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self):
        self.itself = self


def test_a_collection_looks_at_what_came_later_alone_and_still_finds_it():
    code = (
        "import gc, tests.jobs.worker.test_loaded_code as t;"
        "t.loaded_code.set_loaded_code_apart();"
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
    loaded_code.set_loaded_code_apart()
    after = weakref.ref(Ring())
    assert before() is None and after() is not None
    gc.collect()
    assert after() is None
