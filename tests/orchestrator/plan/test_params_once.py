"""Params of a job are validated once in each process: where it is planned, and in its worker."""

from collections import Counter
from contextlib import nullcontext

import pytest

from cluster.executors.local import Executor
from cluster.storage import Storage
from jobs.params import Params
from orchestrator.dispatch.watcher import Watcher
from orchestrator.launch import launch
from orchestrator.plan.decided_plan import decide_plan
from orchestrator.plan.revisions import resolve_revisions
from orchestrator.study.study import parse_study
from orchestrator.study.template import study_template

PROBES = """
study: probes
axes: {index: [0, 1, 2]}
stages:
  first: {kind: probe, over: [index], params: {index: "${index}", pieces: null}}
"""


@pytest.fixture
def validated(monkeypatch):
    """How often each class of params was made from what somebody wrote."""
    counts = Counter()
    original = Params.__init__

    def count(self, **given):
        counts[type(self)] += 1
        original(self, **given)

    monkeypatch.setattr(Params, "__init__", count)
    return counts


def test_planning_validates_no_params_twice(validated, tmp_path):
    study = parse_study(study_template("new", "new.yaml"))
    # For no machines: on some, `align` would also validate layouts to choose from.
    decided = decide_plan(Storage(tmp_path), study)
    resolve_revisions(decided.plan.jobs, {})
    jobs = Counter(type(job.validated) for job in decided.plan.jobs)
    assert jobs.keys() <= validated.keys()
    assert all(validated[params] <= jobs[params] for params in jobs)


def test_a_launch_validates_once_while_planning_and_once_in_each_worker(validated, tmp_path):
    study = parse_study(PROBES)
    launched = launch(
        Storage(tmp_path),
        study,
        executor=Executor(),
        executor_name="local",
        progress=lambda: nullcontext(Watcher()),
    )
    assert len(launched.report.ran) == 3
    assert sum(validated.values()) == 3 + 3
