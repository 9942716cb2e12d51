import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import UserError
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.study.study import parse_study

CHAIN = """\
study: s
axes:
  model: [{name: m1, size: 8, deep: {er: 1}}, {name: m2, size: 16, deep: {er: 2}}]
  seed: [0, 1]
stages:
  base: {kind: probe, over: [model], params: {index: "${model.size}"}}
  next: {kind: probe, over: [seed], inputs: {after: base},
         params: {index: "${seed}", waits: true, seconds: 0.5}}
"""


def plan_of(text: str, **options) -> Plan:
    return make_plan(parse_study(text, **options))


def refused(text: str, **options) -> UserError:
    with pytest.raises(UserError) as caught:
        plan_of(text, **options)
    assert caught.value.where.startswith("study.yaml:")
    return caught.value


def keys(text: str) -> dict[str, str]:
    return {job.label: job.key for job in plan_of(text).jobs}


def test_each_job_comes_after_what_it_reads_even_if_the_file_says_otherwise():
    jobs = plan_of("""
study: s
stages:
  third: {kind: probe, inputs: {after: second}, params: {waits: true}}
  second: {kind: probe, inputs: {after: first}, params: {waits: true}}
  first: {kind: probe}
""").jobs
    assert [job.stage for job in jobs] == ["first", "second", "third"]
    assert jobs[2].inputs["after"][0].key == jobs[1].key


def test_jobs_carry_validated_params_with_defaults_and_resources():
    job = next(job for job in plan_of(CHAIN).jobs if job.label == "next[model=m2,seed=1]")
    assert job.params == {
        "index": 1, "waits": True, "fail": False, "seconds": 0.5, "parts": 1, "workers": 1,
        "holds_gb": 0.0, "pieces": 1, "limit_gb": None, "num_cpus": 1.0, "num_gpus": 0.0,
        "num_ranks": 1, "num_nodes": 1,
    }  # fmt: skip
    assert dict(job.cell) == {"model": "m2", "seed": "1"}
    assert job.inputs["after"][0].cell == {"model": "m2"}
    assert job.resources.num_cpus == 1


def test_execution_params_and_inputs_that_are_not_used_stay_out_of_the_key():
    before = keys(CHAIN)
    assert keys(CHAIN.replace("seconds: 0.5", "seconds: 3")) == before
    unused = CHAIN.replace("waits: true", "waits: false")
    assert keys(unused)["next[model=m1,seed=0]"] == keys(unused)["next[model=m2,seed=0]"]
    assert all(not job.inputs for job in plan_of(unused).jobs)


def test_a_changed_param_changes_exactly_the_keys_below_it():
    before, after = keys(CHAIN), keys(CHAIN.replace("size: 16", "size: 17"))
    changed = {label for label in before if before[label] != after[label]}
    assert changed == {"base[model=m2]", "next[model=m2,seed=0]", "next[model=m2,seed=1]"}


def test_names_of_stages_and_axes_stay_out_of_the_key():
    renamed = CHAIN.replace("base", "root").replace("model", "rung").replace("m1", "x1")
    assert sorted(keys(CHAIN).values()) == sorted(keys(renamed).values())


def test_keys_are_the_same_in_another_process_with_another_hash_seed():
    code = (
        "import sys, json; from orchestrator.plan.plan import make_plan;"
        "from orchestrator.study.study import parse_study;"
        "plan = make_plan(parse_study(sys.stdin.read()));"
        "print(json.dumps({job.label: job.key for job in plan.jobs}))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], input=CHAIN, text=True, capture_output=True, check=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        )  # fmt: skip
        assert json.loads(done.stdout) == keys(CHAIN)


def test_jobs_with_equal_work_have_one_key_and_the_plan_says_so():
    plan = plan_of(CHAIN.replace('index: "${seed}", ', ""))
    assert len(plan.jobs) == 6
    assert len(plan.by_key) == 4
    assert "study.yaml:7" in plan.notes[0] and "${seed}" in plan.notes[0]


def test_an_axis_that_no_stage_has_is_noted():
    plan = plan_of("study: s\naxes: {a: [1]}\nstages: {x: {kind: probe}}\n")
    assert "no stage has the axis 'a'" in plan.notes[0]


AGAINST_ITSELF = """
study: s
axes: AXES
stages:
  base: {kind: pretrain, params: {format: nursery, steps: 1,
         config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1}}}
  pairs: {kind: pairs, params: {format: nursery}}
  texts: {kind: prompts, params: {format: nursery}}
  tuned: {kind: align, inputs: {model: base, pairs: pairs}, params: {objective: sft, steps: 1}}
  delta: {kind: extract, OVER inputs: {base: base, aligned: ALIGNED, prompts: texts}}
  both: {kind: measure, inputs: {delta: delta, against: AGAINST}, params: {metrics: [METRIC]}}
"""


@pytest.mark.parametrize(
    ("change", "hints"),
    [
        ({}, ["; another cell is {stage: delta, where: {AXIS: VALUE}}"]),
        ({"AGAINST": "{stage: delta}"}, ["; another cell is {stage: delta, where: {AXIS: VALUE}}"]),
        ({"AGAINST": "{stage: delta, where: {on: 1}}"}, []),
        ({"METRIC": "relative_norm"}, []),  # reads `delta` alone
        ({"ALIGNED": "base", "AGAINST": "{stage: delta, where: {on: 1}}"}, []),  # a noise floor
        ({"AXES": "{}", "OVER": ""}, [""]),  # there is no other cell
    ],
)
def test_a_stage_that_compares_each_job_with_itself_is_noted(change, hints):
    written = {"AXES": "{on: [1, 2]}", "OVER": "over: [on],", "ALIGNED": "tuned"}
    written |= {"AGAINST": "delta", "METRIC": "mean_cosine", **change}
    text = AGAINST_ITSELF
    for word, value in written.items():
        text = text.replace(word, value)
    told = [note for note in plan_of(text).notes if "are one job in every cell" in note]
    whole = "study.yaml:11: 'delta' and 'against' are one job in every cell"
    assert told == [f"{whole}{hint}" for hint in hints]


def test_expressions_keep_the_type_alone_and_become_text_inside_text(tmp_path):
    (tmp_path / "m1-0.5.txt").write_text(LINE)
    plan = plan_of(
        """
study: s
axes:
  model: [{name: m1, config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1}}]
  rate: [0.5]
stages:
  base: {kind: pretrain, over: [model, rate], params: {config: "${model.config}", format: text,
         source: "${model}-${rate}.txt", learning_rate: "${rate}", steps: 1}}
""",
        folder=tmp_path,
    )
    (job,) = plan.jobs
    assert job.params["config"]["d_model"] == 8
    assert job.params["learning_rate"] == 0.5
    assert job.params["source"] == str(tmp_path / "m1-0.5.txt")


LINE = "a line of eight words or a few more of them\n"
OTHER = "another line of eight words or a few more of them\n"
DOCUMENTS = """
study: s
stages:
  base: {kind: pretrain, params: {config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1},
         format: text, source: "%s", steps: 1}}
"""


def key_in(folder, source: str) -> str:
    (job,) = plan_of(DOCUMENTS % source, folder=folder).jobs
    return job.key


def test_a_key_follows_the_bytes_of_a_file_and_not_its_path(tmp_path, monkeypatch):
    for name, text in (("a.txt", LINE), ("b.txt", LINE), ("c.txt", OTHER)):
        (tmp_path / name).write_text(text)
    assert key_in(tmp_path, "a.txt") == key_in(tmp_path, "b.txt") != key_in(tmp_path, "c.txt")
    monkeypatch.setenv("DELTASCALE_DATA", str(tmp_path))
    assert key_in(tmp_path / "elsewhere", "${DELTASCALE_DATA}/a.txt") == key_in(tmp_path, "a.txt")


def test_a_key_follows_names_and_bytes_of_a_folder(tmp_path):
    for name, file in (("one", "a.txt"), ("two", "a.txt"), ("three", "b.txt")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(LINE)
    assert key_in(tmp_path, "one") == key_in(tmp_path, "two") != key_in(tmp_path, "three")


def test_a_rewritten_file_is_read_again(tmp_path):
    (tmp_path / "a.txt").write_text(LINE)
    before = key_in(tmp_path, "a.txt")
    (tmp_path / "a.txt").write_text(OTHER)
    assert key_in(tmp_path, "a.txt") != before


def test_the_data_folder_must_be_set_only_where_it_is_used(tmp_path, monkeypatch):
    monkeypatch.delenv("DELTASCALE_DATA", raising=False)
    plan_of(CHAIN)
    fault = refused(DOCUMENTS % "${DELTASCALE_DATA}/a.txt", folder=tmp_path)
    assert "DELTASCALE_DATA" in fault.error and "export" in fault.hint
    monkeypatch.setenv("OTHER", "x")
    assert "'OTHER'" in refused(DOCUMENTS % "${OTHER}/a.txt", folder=tmp_path).error


@pytest.mark.parametrize(
    ("old", "new", "line", "error", "hint"),
    [
        ("kind: probe, over", "kind: prob, over", 6, "unknown kind 'prob'", "'probe'"),
        ("inputs: {after: base}", "inputs: {after: bse}", 7, "unknown stage 'bse'", "'base'"),
        ("inputs: {after: base}", "inputs: {aftr: base}", 7, "'aftr'", "'after'"),
        ("inputs: {after: base}", "gather: [base]", 7, "takes `inputs`, not `gather`", None),
        ("inputs: {after: base},\n", "\n", 7, "needs the input 'after'", "base"),
        ("inputs: {after: base}", "inputs: {after: next}", 7, "next -> next", None),
        ('index: "${seed}"', "indx: 1", 8, "unknown param 'indx'", "'index'"),
        ('index: "${seed}"', "index: many", 8, "'index'", None),
        ('index: "${seed}"', 'index: "${sed}"', 8, "unknown name in ${} 'sed'", "'seed'"),
        ('index: "${seed}"', 'index: "${seed.x}"', 8, "'0' has no field 'x'", None),
        ('index: "${seed}"', 'index: "${model.sze}"', 8, "field of model 'm1' 'sze'", "'size'"),
        ('index: "${seed}"', 'index: "${model.deep}"', 8, "'index'", None),
        ('index: "${seed}"', 'index: "a ${model.deep}"', 8, "neither a text nor a number", None),
        ('index: "${seed}"', 'index: "${seed"', 8, "no closing", None),
        ('index: "${model.size}"', 'index: "${seed}"', 6, "has no axis 'seed'", "`over`"),
        ("seconds: 0.5", "seconds: -1", 8, "greater than or equal to 0, got -1", None),
        ("seconds: 0.5", "seconds: .inf", 8, "'seconds'", None),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_with_its_line(old, new, line, error, hint):
    assert old in CHAIN
    fault = refused(CHAIN.replace(old, new, 1))
    assert error in fault.error
    assert fault.where.startswith(f"study.yaml:{line}")
    if hint:
        assert hint in fault.hint


def test_a_fault_in_one_cell_names_the_cell():
    fault = refused(CHAIN.replace("size: 16", "size: big"))
    assert fault.where == "study.yaml:6 [model=m2]"


def test_a_cycle_is_printed():
    fault = refused("""
study: s
stages:
  a: {kind: probe, inputs: {after: c}}
  b: {kind: probe, inputs: {after: a}}
  c: {kind: probe, inputs: {after: b}}
""")
    shown = fault.error.split(": ")[1].split(" -> ")
    assert shown[0] == shown[-1]
    assert set(shown) == {"a", "b", "c"}
    for upstream, stage in zip(shown, shown[1:], strict=False):
        assert (upstream, stage) in {("a", "b"), ("b", "c"), ("c", "a")}


def test_a_missing_file_is_found_when_planning(tmp_path):
    fault = refused(DOCUMENTS % "nothing.txt", folder=tmp_path)
    assert "no such file" in fault.error
    assert fault.where.startswith("study.yaml:5") and "nothing.txt" in fault.where


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    parents=st.lists(st.integers(-1, 5), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_any_study_plans_in_order_and_its_stages_may_be_written_in_any_order(sizes, parents, order):
    axes = {f"a{index}": list(range(size)) for index, size in enumerate(sizes)}
    stages, carried = [], []
    for index, parent in enumerate(parents):
        parent = parent if parent < index else -1
        inherited = carried[parent] if parent >= 0 else []
        own = [axis for axis in axes if axis not in inherited][: index % 2 + 1]
        carried.append(inherited + own)
        inputs = {"after": f"s{parent}"} if parent >= 0 else {}
        params = {"index": index, "waits": parent >= 0}
        stage = {"kind": "probe", "over": own, "inputs": inputs, "params": params}
        stages.append(f"  s{index}: {json.dumps(stage)}")
    head = f"study: s\naxes: {json.dumps(axes)}\nstages:\n"
    plan = plan_of(head + "\n".join(stages))
    seen: set[str] = set()
    for job in plan.jobs:
        assert all(ref.key in seen for refs in job.inputs.values() for ref in refs)
        assert all(
            job.cell[a] == v for r in job.inputs.values() for f in r for a, v in f.cell.items()
        )
        seen.add(job.key)
    for index, axes_of_stage in enumerate(carried):
        expected = 1
        for axis in axes_of_stage:
            expected *= len(axes[axis])
        assert len(plan.stages[f"s{index}"]) == expected
    order.shuffle(stages)
    shuffled = plan_of(head + "\n".join(stages))
    assert {job.label: job.key for job in shuffled.jobs} == {
        job.label: job.key for job in plan.jobs
    }


COMPARED = """\
study: s
axes:
  model: [{name: m1, config: {family: gpt2, num_layers: 1, d_model: 16, num_heads: 2}}]
  condition: [plain, rot13]
stages:
  base: {kind: pretrain, over: [model],
         params: {config: "${model.config}", format: nursery, steps: 1}}
  prompts: {kind: prompts, over: [condition], params: {format: nursery, transform: "${condition}"}}
  before: {kind: behave, inputs: {model: base, prompts: prompts}, params: {toxic_words: prompts}}
  table: {kind: compare, gather: [before], params: {LAYOUT}}
"""


@pytest.mark.parametrize("layout", ["rows: [model, conditon]", "columns: [conditon]"])
def test_an_axis_of_a_table_that_nothing_gathered_has_is_told_before_anything_runs(layout):
    fault = refused(COMPARED.replace("LAYOUT", layout))
    assert "unknown axis 'conditon'" in fault.error and "condition" in str(fault.hint)


@pytest.mark.parametrize(
    ("contrast", "message"),
    [
        ("condition=rot13-plane", "no value of condition is 'plane'.*did you mean 'plain'"),
        ("conditon=rot13-plain", "unknown axis 'conditon'"),
        ("rot13-plain", "AXIS=FIRST-SECOND"),
    ],
)
def test_a_contrast_of_what_does_not_exist_is_told_before_anything_runs(contrast, message):
    fault = refused(COMPARED.replace("LAYOUT", f"contrasts: ['{contrast}']"))
    assert re.search(message, fault.error)


@pytest.mark.parametrize(
    "layout",
    [
        "rows: [model, condition]",
        "columns: []",
        "figures: false",
        "contrasts: [condition=rot13-plain, condition=plain-none]",
    ],
)
def test_axes_that_what_is_gathered_has_may_lay_a_table_out(layout):
    assert plan_of(COMPARED.replace("LAYOUT", layout)).jobs[-1].kind == "compare"


TYPED = """
study: typed
axes:
  model: [{name: 70, config: {}}, {name: small, config: {}}]
  beta: [1e-2, 1.0, "0.5"]
  masked: [true, false]
stages:
  data: {kind: pairs, params: {format: nursery}}
  first: {kind: behave, over: [model, beta, masked], inputs: {model: base, prompts: texts},
          params: {new_tokens: 4}}
  base: {kind: pretrain,
         params: {config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1},
                  format: nursery, steps: 1, learning_rate: 1e-3}}
  texts: {kind: prompts, params: {format: nursery}}
  table: {kind: compare, gather: [first], per: []}
"""


def test_typed_axis_values_travel_beside_the_cell_and_never_into_the_key() -> None:
    plan = plan_of(TYPED)
    first = plan.stages["first"]
    assert first[0].axis_values == {"model": 70, "beta": 0.01, "masked": True}
    assert {type(job.axis_values["beta"]) for job in first} == {float, str}
    (table,) = plan.stages["table"]
    assert [ref.values for ref in table.inputs["first"]] == [job.axis_values for job in first]
    untyped = {"first": [replace(ref, values={}) for ref in table.inputs["first"]]}
    assert replace(table, inputs=untyped).key == table.key
