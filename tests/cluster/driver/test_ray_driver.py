"""One bad look at the nodes of a Ray costs no call; many in a row mean that it has gone."""

import queue
import threading
from types import SimpleNamespace

import pytest

from cluster.driver import ray_driver, ray_session
from cluster.driver.ray_driver import _Driver
from cluster.driver.ray_look import NodeLook
from cluster.driver.ray_session import RaySession
from cluster.executor import Ending, Outcome
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


class Connection:
    """Keeps what was sent."""

    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)


def own_session(folder):
    """A Ray of our own that lives, with its files in a folder."""
    session = RaySession(is_own=True, node_id="here", folder=SimpleNamespace(path=folder))
    (folder / "r").mkdir()
    (folder / "token").write_text("token")
    session.discard = lambda: None
    return session


@pytest.fixture
def no_process(monkeypatch):
    monkeypatch.setattr(ray_session, "_own_node", lambda: SimpleNamespace(all_processes={}))


@pytest.mark.parametrize("name", ["r", "token", "code"])
def test_a_ray_whose_files_were_deleted_is_lost(name, tmp_path, no_process):
    session = own_session(tmp_path)
    session.code = tmp_path / "code"
    session.code.mkdir()
    assert session.lost_part() is None
    (tmp_path / name).rename(tmp_path / "away")
    assert str(tmp_path / name) in session.lost_part()


def test_a_call_that_failed_because_its_ray_was_deleted_is_lost_with_it(
    tmp_path, no_process, monkeypatch
):
    driver = object.__new__(_Driver)
    driver._connection, driver._session = Connection(), own_session(tmp_path)
    done = Outcome(ticket="done", ending=Ending.RETURNED)
    failed = Outcome(ticket="failed", ending=Ending.RAISED, error="no such file")
    driver._outcomes = [done, failed]
    driver._blame_ray()
    assert driver._outcomes == [done, failed], "nothing is missing: the call's own fault"

    (tmp_path / "token").unlink()
    monkeypatch.setattr(ray_driver, "end_family", lambda pid: None)
    monkeypatch.setattr(ray_driver.os, "_exit", lambda code: None)
    driver._blame_ray()
    ended, lost = driver._connection.sent
    assert ended.outcomes == (done,)
    assert "was deleted" in lost.reason
