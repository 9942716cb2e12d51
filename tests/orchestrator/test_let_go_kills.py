"""Kills around letting go: whatever the order, no record is lost and no reader left stale.

A kill is a storage that from one of its writes or deletions on does nothing any more, which is what
a process that dies there leaves behind.
"""

from contextlib import nullcontext, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.executors.local import Executor
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from orchestrator.dispatch.watcher import Watcher
from orchestrator.launch import launch
from orchestrator.plan.decided_plan import Purpose, decide_plan
from orchestrator.plan.decisions import READABLE, RUNS, Decision
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import parse_study

TEXT = """\
study: {study}
stages:
  base: {{kind: probe, keep: {keep}, params: {{index: 1}}}}
  next: {{kind: probe, inputs: {{after: base}}, params: {{index: {index}, waits: true}}}}
"""
STUDIES = {
    "goes": TEXT.format(study="goes", keep="until-read", index=2),
    "grows": TEXT.format(study="goes", keep="until-read", index=2)
    + "  more: {kind: probe, inputs: {after: base}, params: {index: 3, waits: true}}\n",
    "shares": TEXT.format(study="shares", keep="until-read", index=4),
    "keeps": TEXT.format(study="keeps", keep="always", index=2),
}
CHANGES = ("write", "create", "remove", "remove_only", "move")


class Killed(BaseException):
    """The process died here."""


class Mortal:
    """Lets a number of changes of a storage through, and none after them."""

    def __init__(self, monkeypatch, num_changes):
        self.left = num_changes
        for name in CHANGES:
            monkeypatch.setattr(Storage, name, self._mortal(getattr(Storage, name)))

    def _mortal(self, real):
        def change(*arguments, **options):
            if self.left <= 0:
                raise Killed
            self.left -= 1
            return real(*arguments, **options)

        return change


def run(root, text):
    return launch(
        root,
        parse_study(text),
        executor=Executor(),
        executor_name="local",
        progress=lambda: nullcontext(Watcher()),
    )


def decisions(root, text):
    return decide_plan(root, parse_study(text), purpose=Purpose.FORECAST).decisions


JOBS = {job.key: job for text in STUDIES.values() for job in make_plan(parse_study(text)).jobs}


def artifacts(root):
    """Record and content digest of every job that is done, with its artifact."""
    standing = [Artifact(root, job.kind, key) for key, job in JOBS.items()]
    return [(one, *present) for one in standing if (present := one.find_record()) is not None]


def check(root, before):
    """Nothing that was done is lost or other than it was, and nothing is stale."""
    present = artifacts(root)
    now = {artifact.key: digest for artifact, _, digest in present}
    assert before.items() <= now.items()
    for artifact, record, _ in present:
        assert all(now[key] == digest for key, digest in record.inputs.items())
        if record.let_go is None:
            assert artifact.read("probe.txt")
    return now


def killed_launch(root, text, num_changes):
    """Launch, and die after so many changes; return False where it came to its end before."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        mortal = Mortal(monkeypatch, num_changes)
        with suppress(Killed):
            run(root, text)
        return mortal.left <= 0


STRIDES = [4, pytest.param(1, marks=pytest.mark.slow)]
"""Every fourth change, and every single one."""


@pytest.mark.parametrize("stride", STRIDES)
def test_a_kill_at_any_change_is_finished_by_the_next_launch(tmp_path, stride):
    num_changes, was_killed = 0, True
    while was_killed:
        root = Storage(tmp_path / f"results-{num_changes}")
        run(root, STUDIES["keeps"])
        root.remove("studies/keeps")
        was_killed = killed_launch(root, STUDIES["goes"], num_changes)
        before = check(root, {})
        assert len(before) == 2

        run(root, STUDIES["goes"])

        check(root, before)
        (base, _) = decisions(root, STUDIES["goes"])
        assert base.decision is Decision.REUSE and base.is_let_go
        artifact = Artifact(root, "probe", base.job.key)
        assert not root.exists(f"{artifact.attempt_folder(artifact.record.attempt)}/probe.txt")
        num_changes += stride
    assert num_changes > 6


@pytest.mark.parametrize("stride", STRIDES)
def test_a_kill_while_it_is_made_again_loses_nothing(tmp_path, stride):
    num_changes, was_killed = 0, True
    while was_killed:
        root = Storage(tmp_path / f"results-{num_changes}")
        run(root, STUDIES["goes"])
        before = check(root, {})
        was_killed = killed_launch(root, STUDIES["grows"], num_changes)
        check(root, before)

        assert run(root, STUDIES["grows"]).exit_code == 0

        assert len(check(root, before)) == 3
        num_changes += stride
    assert num_changes > 8


STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(STUDIES)), st.one_of(st.none(), st.integers(0, 25))),
    min_size=1,
    max_size=4,
)


def hold_in_any_order(tmp_path_factory, steps):
    root = Storage(tmp_path_factory.mktemp("root") / "results")
    before = {}
    for name, num_changes in steps:
        if num_changes is None:
            assert run(root, STUDIES[name]).exit_code == 0
        else:
            killed_launch(root, STUDIES[name], num_changes)
        before = check(root, before)
    for name in ("grows", "shares"):
        assert run(root, STUDIES[name]).exit_code == 0
        before = check(root, before)
    launched = {name for name in root.list("studies") if root.exists(f"studies/{name}/index.json")}
    base = decisions(root, STUDIES["grows"])[0]
    assert base.decision in READABLE - RUNS
    assert base.is_let_go is ("keeps" not in launched)


OPTIONS = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=3, derandomize=True, **OPTIONS)
@given(steps=STEPS)
def test_no_order_of_launches_and_kills_loses_a_record(tmp_path_factory, steps):
    hold_in_any_order(tmp_path_factory, steps)


@pytest.mark.slow
@settings(max_examples=100, **OPTIONS)
@given(steps=STEPS)
def test_no_order_of_launches_and_kills_loses_a_record_in_many_tries(tmp_path_factory, steps):
    hold_in_any_order(tmp_path_factory, steps)
