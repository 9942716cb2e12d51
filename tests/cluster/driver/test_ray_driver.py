"""One bad look at the nodes of a Ray costs no call; many in a row mean that it has gone."""

import queue
import threading

import pytest

from cluster.driver import ray_driver
from cluster.driver.ray_driver import _Driver
from cluster.driver.ray_look import NodeLook
from cluster.machine.resources import Resources
from cluster.nodes.ray_nodes import _gpu_memory_gb

GOOD = NodeLook(nodes=[Resources(num_cpus=4)], free=[Resources(num_cpus=2)])


class Watch:
    """Gives what it was made with, look by look, and then ends the thread."""

    def __init__(self, *looks):
        self.looks = iter(looks)

    def look(self):
        look = next(self.looks, None)
        if look is None:
            raise KeyboardInterrupt
        if isinstance(look, Exception):
            raise look
        return look


@pytest.fixture
def looks_of(monkeypatch):
    """A function: what each look gives -> what the driver notes."""
    monkeypatch.setattr(ray_driver, "_LOOK_EVERY_S", 0.001)

    def run(*looks):
        driver = object.__new__(_Driver)
        driver._watch = Watch(*looks)
        driver._todo = queue.SimpleQueue()
        driver._is_asked = threading.Event()
        with pytest.raises(KeyboardInterrupt):
            driver._look_on()
        noted = []
        while not driver._todo.empty():
            noted.append(driver._todo.get().args[0])
        return noted

    return run


def test_a_look_that_fails_shows_what_the_last_one_showed(looks_of):
    assert looks_of(GOOD, RuntimeError("Ray says no"), GOOD) == [GOOD, GOOD, GOOD]


def test_a_ray_that_cannot_be_looked_at_for_long_is_lost(looks_of):
    failures = [RuntimeError("GCS\nis gone")] * ray_driver._MOST_FAILED_LOOKS
    noted = looks_of(GOOD, *failures)
    assert [look.lost for look in noted[:-1]] == [None] * len(failures)
    assert "RuntimeError: GCS" in noted[-1].lost


@pytest.mark.parametrize("label", ["80GB", "nan", "inf", "-1", "0", ""])
def test_a_label_of_gpu_memory_that_is_no_amount_counts_as_none(label):
    assert _gpu_memory_gb({}, {"gpu_memory_gb": label}) == 0
    assert _gpu_memory_gb({}, {"gpu_memory_gb": "80"}) == 80
