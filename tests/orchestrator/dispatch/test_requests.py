"""A request reaches the launch that it is for, and no other, whenever that first looks."""

import json
import time

import pytest

from cluster.storage import Storage
from orchestrator.dispatch.requests import ask_to_cancel, drop_request, read_requests
from orchestrator.records.lock import lock_name, study_lock


@pytest.fixture(params=["local", "memory"])
def root(request, tmp_path):
    return Storage(tmp_path if request.param == "local" else f"memory://{tmp_path.name}")


def test_a_request_names_the_launch_that_holds_the_lock(root):
    with study_lock(root, "study", "first"):
        ask_to_cancel(root, "study", ["b", "a"])
    (request,) = read_requests(root, "study")
    assert request.keys == {"a", "b"}
    # Whatever the clocks of the two machines say.
    assert request.is_for("first", since=time.time() + 3600)
    assert not request.is_for("second", since=0.0)
    drop_request(root, "study", request)
    assert list(read_requests(root, "study")) == []


def test_a_request_without_a_launch_is_for_whoever_held_the_lock_then(root):
    before = time.time()
    ask_to_cancel(root, "study", None)
    (request,) = read_requests(root, "study")
    assert request.keys is None and request.launch is None
    assert request.is_for("any", since=before) and not request.is_for("any", since=time.time())


def test_a_request_beside_a_lock_that_names_nobody_is_for_whoever_holds_it(root):
    before = time.time()
    with study_lock(root, "study", "first"):
        root.path(lock_name("study")).write_bytes(b"") if root.is_local else root.write(
            lock_name("study"), b"{ half"
        )
        ask_to_cancel(root, "study", None)
        (request,) = read_requests(root, "study")
        assert request.launch is None and request.is_for("first", since=before)
        if not root.is_local:
            root.remove(lock_name("study"))


def test_requests_of_earlier_versions_are_read_and_damaged_ones_ask_for_nothing(root):
    folder = "studies/study/requests"
    root.write(f"{folder}/0000000001.000000-aaaaaaaa.json", json.dumps({"cancel": ["k"]}).encode())
    root.write(f"{folder}/0000000002.000000-bbbbbbbb.json", b"{ half")
    root.write(f"{folder}/notes.txt", json.dumps({"cancel": None}).encode())
    first, damaged, foreign = read_requests(root, "study")
    assert first.keys == {"k"} and first.is_for("any", since=0.5)
    assert damaged.keys == frozenset()
    assert not foreign.is_for("any", since=0.0)
