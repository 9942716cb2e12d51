import pytest

from cluster.errors import UserError
from orchestrator.plan.plan import make_plan
from orchestrator.study.selector import select
from orchestrator.study.study import parse_study

JOBS = make_plan(
    parse_study("""
study: s
axes:
  model: [m1, m2]
  rate: [1e-6, 0.5]
stages:
  base: {kind: probe, over: [model], params: {index: 1, fail: false}}
  next: {kind: probe, over: [rate], inputs: {after: base}, params: {index: 2, waits: true}}
""")
).jobs


def labels(*texts: str) -> list[str]:
    return [job.label for job in select(JOBS, *texts)]


def test_a_stage_selects_all_its_jobs():
    assert labels("base") == ["base[model=m1]", "base[model=m2]"]


def test_axes_narrow_a_stage():
    assert labels("next:model=m2") == ["next[model=m2,rate=1e-06]", "next[model=m2,rate=0.5]"]
    assert labels("next:rate=0.5:model=m1,m2") == [
        "next[model=m1,rate=0.5]",
        "next[model=m2,rate=0.5]",
    ]


def test_an_axis_alone_selects_in_every_stage_that_has_it():
    assert labels("model=m1") == [
        "base[model=m1]",
        "next[model=m1,rate=1e-06]",
        "next[model=m1,rate=0.5]",
    ]


@pytest.mark.parametrize("written", ["1e-6", "1e-06", "0.000001", "1.0e-6"])
def test_a_number_can_be_written_in_any_way(written):
    assert labels(f"next:rate={written}:model=m1") == ["next[model=m1,rate=1e-06]"]


def test_the_start_of_a_key_selects_one_job():
    assert select(JOBS, JOBS[0].key[:8]) == [job for job in JOBS if job.key == JOBS[0].key]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.label)
def test_a_job_is_selected_by_its_label(job):
    assert labels(job.label) == labels(f" {job.label}") == [job.label]


def test_a_label_may_leave_axes_out_and_name_several_values():
    assert labels("next[model=m2]") == ["next[model=m2,rate=1e-06]", "next[model=m2,rate=0.5]"]
    assert labels("next[model=m1,m2,rate=1e-6]") == [
        "next[model=m1,rate=1e-06]",
        "next[model=m2,rate=1e-06]",
    ]


def test_several_selectors_select_their_union_in_plan_order():
    assert labels("next:rate=0.5:model=m1", "base:model=m1") == [
        "base[model=m1]",
        "next[model=m1,rate=0.5]",
    ]


def test_no_selector_selects_everything():
    assert select(JOBS) == list(JOBS)


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        ("bsae", "unknown stage 'bsae'", "'base'"),
        ("base:modl=m1", "unknown axis 'modl'", "'model'"),
        ("base:model=m3", "unknown value of axis 'model' 'm3'", "'m"),
        ("base:rate=0.5", "unknown axis 'rate'", None),
        ("base:model", "is not axis=value", None),
        ("base:model=", "is not axis=value", None),
        ("next:rate=0.5:rate=1e-6", "named twice", None),
        ("0000", "no job", None),
        ("abc", "unknown stage 'abc'", None),
        ("base[rate=0.5", "bracket of 'base[rate=0.5' is not closed", "'base[rate=0.5]'"),
    ],
)
def test_what_selects_nothing_is_refused(text, error, hint):
    with pytest.raises(UserError) as caught:
        select(JOBS, text)
    assert error in caught.value.error
    assert text in caught.value.where
    if hint:
        assert hint in caught.value.hint
