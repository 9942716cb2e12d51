import json

import pytest

from cluster.errors import UserError
from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from orchestrator.plan.decisions import Decision, decide_jobs
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.plan.plan_document import plan_document
from orchestrator.plan.study_folder import (
    document_text,
    open_study,
    read_index,
    write_study,
)
from orchestrator.records.launched_studies import known_studies
from orchestrator.study.study import parse_study
from tests.chain import CHAIN, finish


def plan_of(text: str = CHAIN) -> Plan:
    return make_plan(parse_study(text))


def launch(root: Storage, text: str = CHAIN) -> Plan:
    plan = plan_of(text)
    write_study(root, plan, plan_document(plan, decide_jobs(plan, root)))
    for job in plan.jobs:
        if Artifact(root, job.kind, job.key).find_record() is None:
            finish(root, job)
    return plan


def told(root: Storage, text: str = CHAIN, **failed: str) -> dict[str, tuple[str, str]]:
    plan = plan_of(text)
    keys = {plan.jobs[[job.label for job in plan.jobs].index(label)].key: why
            for label, why in failed.items()}  # fmt: skip
    return {
        each.job.label: (each.decision.value, each.why) for each in decide_jobs(plan, root, keys)
    }


@pytest.fixture(params=["local", "memory"])
def root(request, tmp_path) -> Storage:
    return Storage(tmp_path if request.param == "local" else f"memory://{tmp_path}")


def test_on_an_empty_root_everything_is_new(root):
    assert set(told(root).values()) == {("new", "not run yet")}


def test_after_a_launch_everything_is_reused_with_its_size(root):
    plan = launch(root)
    explained = decide_jobs(plan, root)
    assert {each.decision for each in explained} == {Decision.REUSE}
    assert [each.bytes for each in explained] == [2, 3, 2, 2, 2, 2]


def test_a_changed_param_says_from_what_to_what_and_who_below_changes_with_it(root):
    launch(root)
    now = told(root, CHAIN.replace("size: 16", "size: 17"))
    assert now["base[model=m1]"][0] == now["last[model=m1]"][0] == "reuse"
    assert now["base[model=m2]"] == ("changed", "index: 16 -> 17")
    assert now["next[model=m2]"] == ("changed", "input after: base[model=m2] changed")
    assert now["last[model=m2]"] == ("changed", "input after: next[model=m2] changed")


def test_a_param_that_makes_an_input_unused_is_explained(root):
    launch(root)
    now = told(root, CHAIN.replace("index: 2, waits: true", "index: 2, waits: false"))
    assert now["last[model=m1]"] == (
        "changed", "waits: True -> False; input after: no longer used",
    )  # fmt: skip


def test_going_back_to_what_was_asked_before_reuses_it(root):
    launch(root)
    launch(root, CHAIN.replace("size: 16", "size: 17"))
    assert {decision for decision, _ in told(root).values()} == {"reuse"}


def test_a_new_cell_beside_finished_ones_is_new(root):
    launch(root)
    now = told(root, CHAIN.replace("size: 16}]", "size: 16}, {name: m3, size: 17}]"))
    assert now["base[model=m3]"] == ("new", "not run yet")
    assert now["base[model=m1]"][0] == "reuse"


def test_an_input_made_again_with_other_bytes_makes_everything_below_stale(root):
    plan = launch(root)
    job = plan.jobs[0]
    artifact = Artifact(root, job.kind, job.key)
    artifact.retire(artifact.record_bytes())
    finish(root, job, attempt="two")
    assert told(root)["next[model=m1]"][0] == "reuse", "equal bytes make nothing stale"

    record = json.loads(root.read(artifact.record_name))
    record["files"]["probe.txt"]["xxh3"] = "0" * 16
    root.write(artifact.record_name, json.dumps(record).encode())
    now = told(root)
    assert now["next[model=m1]"] == (
        "stale", "input after: base[model=m1] was made again with other bytes",
    )  # fmt: skip
    assert now["last[model=m1]"] == ("stale", "input after: next[model=m1] is stale")
    assert now["next[model=m2]"][0] == "reuse"


def test_a_job_whose_input_is_gone_but_asks_for_the_same_is_still_done(root):
    plan = launch(root)
    root.remove(plan.jobs[0].folder)
    now = told(root)
    assert now["base[model=m1]"] == ("new", "not run yet")
    assert now["next[model=m1]"][0] == "reuse"


def test_what_is_left_of_an_unfinished_or_damaged_job_is_told(root):
    plan = launch(root)
    first, second = plan.jobs[0], plan.jobs[1]
    artifact = Artifact(root, first.kind, first.key)
    artifact.retire(artifact.record_bytes())
    root.write(f"{second.folder}/attempts/one/probe.txt", b"cut off by a full disk")
    now = told(root)
    assert now[first.label] == ("new", "started before, not finished")
    assert now[second.label][0] == "new" and "damaged" in now[second.label][1]


def test_a_failed_job_blocks_what_needs_it_and_nothing_else(root):
    now = told(root, **{"next[model=m1]": "it broke"})
    assert now["next[model=m1]"] == ("failed", "it broke")
    assert now["last[model=m1]"] == ("blocked", "input after: next[model=m1] is failed")
    assert now["base[model=m1]"][0] == now["last[model=m2]"][0] == "new"


def test_equal_jobs_share_one_record(root):
    text = CHAIN.replace("size: 16", "size: 8")
    launch(root, text)
    assert {decision for decision, _ in told(root, text).values()} == {"reuse"}


def test_the_plan_document_has_every_field_and_null_where_nothing_is_known(root):
    plan = launch(root)
    document = plan_document(plan, decide_jobs(plan, root))
    assert list(document) == ["study", "jobs", "totals", "absent", "whence"]
    assert document["jobs"][0] == {
        "key": plan.jobs[0].key,
        "stage": "base",
        "kind": "probe",
        "cell": {"model": "m1"},
        "decision": "reuse",
        "why": "done",
        "num_gpus": 0,
        "peak_memory_gb": None,
        "hours": None,
        "bytes": 2,
        "execution": {},
        "fitted_by": None,
        "needs": [],
        "let_go": False,
    }
    assert document["totals"]["jobs"] == document["totals"]["reuse"] == 6
    assert document["totals"]["hours"] is None
    assert json.loads(document_text(document)) == document


FITTED = """\
study: fitted
axes: {size: [8, 400]}
stages:
  base: {kind: probe, over: [size], params: {index: "${size}", holds_gb: "${size}", pieces: null,
         seconds: 1800}}
  next: {kind: probe, inputs: {after: base}, params: {waits: true}}
"""


def test_a_plan_for_machines_says_how_jobs_are_laid_out_and_what_will_not_fit(root):
    plan = plan_of(FITTED)
    machines = [Resources(num_cpus=4, memory_gb=6)]
    document = plan_document(plan, decide_jobs(plan, root, machines=machines))
    small, large, below, blocked = document["jobs"]
    assert (small["decision"], small["execution"]) == ("new", {"pieces": 2})
    assert (small["peak_memory_gb"], small["hours"]) == (4, 0.5)
    assert (large["decision"], below["decision"]) == ("will-not-fit", "new")
    assert large["why"] == "needs 100 GB at least; the largest node has 6"
    assert (blocked["decision"], blocked["why"]) == (
        "blocked", "input after: base[size=400] is will-not-fit",
    )  # fmt: skip
    totals = document["totals"]
    assert (totals["will-not-fit"], totals["hours"], totals["peak_memory_gb"]) == (1, 0.5, 4)
    assert json.loads(document_text(document)) == document


def test_a_plan_for_no_machines_refuses_nothing(root):
    plan = plan_of(FITTED)
    assert {each.decision for each in decide_jobs(plan, root)} == {Decision.NEW}


def test_what_is_done_is_reused_on_machines_that_could_not_hold_it(root):
    plan = launch(root)
    explained = decide_jobs(plan, root, machines=[Resources(num_cpus=0.5)])
    assert {each.decision for each in explained} == {Decision.REUSE}


def test_what_was_launched_is_known_by_name_and_resolves_paths_as_then(root, tmp_path):
    assert known_studies(root) == []
    plan = launch(root)
    assert known_studies(root) == ["chain"]
    again = open_study(root, "chain")
    assert again.folder == plan.study.folder
    assert make_plan(again).by_key.keys() == plan.by_key.keys()
    index = json.loads(root.read("studies/chain/index.json"))
    assert index["stages"]["base"][1] == {
        "cell": {"model": "m2"}, "key": plan.jobs[1].key, "kind": "probe",
    }  # fmt: skip
    assert set(read_index(root, "chain").values()) == set(plan.by_key)
    assert json.loads(root.read("studies/chain/plan.json"))["study"] == "chain"


def test_an_unknown_study_gets_the_nearest_name(root):
    launch(root)
    with pytest.raises(UserError) as caught:
        open_study(root, "chian")
    assert "'chain'" in caught.value.hint


def test_a_changed_file_pin_or_version_is_told_without_digests(root):
    from orchestrator.plan.identity_diff import describe_changes

    before = {
        "kind": "k", "version": 1, "params": {"source": "xxh3:1", "a": {"b": 1}, "old": 1},
        "pins": {"revision": "abc"},
        "inputs": {"x": ["k1"], "many": [{"key": "k2"}, {"key": "k3"}]},
    }  # fmt: skip
    now = {
        "kind": "k", "version": 2, "params": {"source": "xxh3:2", "a": {"b": 2}, "new": None},
        "pins": {"revision": "abd"},
        "inputs": {"y": ["k1"], "many": [{"key": "k2"}, {"key": "k9"}]},
    }  # fmt: skip
    assert describe_changes(before, now, lambda key: f"<{key}>") == [
        "version of kind k: 1 -> 2",
        "a.b: 1 -> 2",
        "new: (absent) -> None",
        "old: 1 -> (absent)",
        "source: the bytes of the file changed",
        "pin revision: abc -> abd",
        "input many: 1 of 2 jobs changed, first <k9>",
        "input x: no longer used",
        "input y: now used",
    ]
