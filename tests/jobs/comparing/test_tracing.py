"""The chain behind an artifact, on real records of the kind `probe`."""

import json

import pytest

from cluster.errors import UserError
from cluster.storage import Storage
from jobs.artifacts.artifact import digest_bytes
from jobs.comparing.tracing import Tracer, trace
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import parse_study
from tests.chain import CHAIN, finish


@pytest.fixture(params=["local", "memory"])
def root(request, tmp_path):
    return Storage(tmp_path if request.param == "local" else f"memory://{tmp_path}")


@pytest.fixture
def jobs(root):
    """Every job of the chain, done; by its label."""
    plan = make_plan(parse_study(CHAIN))
    for job in plan.jobs:
        finish(root, job)
    return {job.label: job for job in plan.jobs}


def test_a_trace_leads_from_a_job_to_everything_it_was_made_from(root, jobs):
    last = jobs["last[model=m2]"]
    found = trace(root, last.key)
    told = [(depth, each.label, each.role) for depth, each in found.walk()]
    assert told == [
        (0, "last[model=m2]", ""),
        (1, "next[model=m2]", "after"),
        (2, "base[model=m2]", "after"),
    ]
    assert found.key == last.key and found.commit == "c0ffee" and "python" in found.versions
    assert found.inputs[0].params["index"] == 1
    assert trace(root, last.key16) == found


def test_every_file_of_a_trace_opens_and_has_the_digest_told(root, jobs):
    files = [
        (f"{each.folder}/{name}", size, digest)
        for _, each in trace(root, jobs["last[model=m1]"].key).walk()
        for name, size, digest in each.files
    ]
    assert len(files) == 3
    for name, size, digest in files:
        data = root.read(name)
        assert (len(data), digest_bytes(data)) == (size, digest)


def test_what_was_collected_as_garbage_is_told_and_does_not_stop_the_rest(root, jobs):
    root.remove(jobs["base[model=m1]"].folder)
    found = trace(root, jobs["last[model=m1]"].key)
    (lost,) = found.inputs[0].inputs
    assert lost.missing == "no artifact" and lost.key == jobs["base[model=m1]"].key
    assert found.inputs[0].missing is None
    root.remove(jobs["next[model=m2]"].folder + "/record.json")
    (lost,) = trace(root, jobs["last[model=m2]"].key).inputs
    assert lost.missing.endswith("has no valid record") and lost.kind == "probe"


def test_a_trace_as_json_is_the_whole_tree(root, jobs):
    tracer = Tracer(root)
    found = json.loads(json.dumps(tracer.trace(jobs["last[model=m1]"].key).as_json()))
    assert found["inputs"][0]["inputs"][0]["label"] == "base[model=m1]"
    assert found["files"][0].keys() == {"name", "bytes", "xxh3"}


def test_a_key_of_no_artifact_is_the_users_mistake(root, jobs):
    with pytest.raises(UserError, match="no artifact of the root has the key"):
        trace(root, "f" * 64)
