import json
from argparse import Namespace

import pytest

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from orchestrator.records.garbage import find_garbage
from orchestrator.records.lock import study_lock
from orchestrator.verbs import gc


@pytest.fixture
def root(tmp_path):
    """One launched study, and one artifact that it does not ask for."""
    root = Storage(tmp_path)
    index = {"stages": {"probes": [{"cell": {}, "key": "a" * 64, "kind": "probe"}]}}
    root.write("studies/one/index.json", json.dumps(index).encode())
    root.write(f"artifacts/probe/{'b' * 16}/job.json", b"{}")
    return root


def collect(root):
    return gc.run(Namespace(root=root.url, json=False, apply=True))


@pytest.mark.parametrize("damaged", [b"{ half", b"{}", b"[]", b'{"stages": {"a": [{"key": 1}]}}'])
def test_a_damaged_index_stops_the_collection_before_anything_is_deleted(root, damaged):
    root.write("studies/two/index.json", damaged)
    with pytest.raises(SurroundingsError, match=r"studies/two/index\.json"):
        list(find_garbage(root))
    with pytest.raises(SurroundingsError):
        collect(root)
    assert root.list("artifacts/probe") == ["b" * 16]


def test_a_launched_study_without_its_index_stops_the_collection(root):
    root.write("studies/two/study.yaml", b"name: two\n")
    with pytest.raises(SurroundingsError, match="missing or damaged"):
        list(find_garbage(root))


def test_nothing_is_deleted_while_any_study_of_the_root_is_held(root):
    with study_lock(root, "two", "theirs"), pytest.raises(SurroundingsError, match="theirs"):
        collect(root)
    assert root.list("artifacts/probe") == ["b" * 16]


def test_what_no_study_asks_for_is_deleted_and_the_locks_are_free_again(root):
    assert collect(root) == 0
    assert root.list("artifacts/probe") == []
    with study_lock(root, "one", "mine"):
        pass


def test_caches_may_go_from_any_root(tmp_path):
    root = Storage(tmp_path)
    root.write("cache/base_rows/abc/rows.safetensors", b"1234")
    (found,) = find_garbage(root)
    assert (found.name, found.bytes) == ("cache/base_rows/abc", 4)
    assert collect(root) == 0
    assert not root.exists("cache/base_rows/abc")
