"""Circumstances are read off the jobs behind a number, whatever a study calls its axes."""

import pytest

from analysis.long_table.circumstances import Origin
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.comparing.ancestry import circumstances_of
from orchestrator.dispatch.worker_messages import write_request
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import parse_study

STUDY = """\
study: ladder
axes:
  rung: [{name: small, config: {family: gpt2, num_layers: 2, d_model: 16, num_heads: 2}}]
  towards: [dpo, sft]
  draw: [0, 1]
  asked:
    - {name: straight, transform: plain, positions: [last], options: {}}
    - {name: turned, transform: rot13, positions: [last], options: {}}
    - {name: talk, transform: plain, positions: [last, turn], options: {contexts: dialogue}}
stages:
  base:
    kind: pretrain
    over: [rung]
    params: {config: "${rung.config}", format: nursery, steps: 1}
  pairs: {kind: pairs, params: {format: nursery}}
  texts:
    kind: prompts
    over: [asked]
    params: {format: nursery, options: "${asked.options}", transform: "${asked.transform}",
             positions: "${asked.positions}"}
  reference: {kind: reference, inputs: {model: base, pairs: pairs}}
  aligned:
    kind: align
    over: [towards, draw]
    inputs: {model: base, pairs: pairs, reference: reference}
    params: {objective: "${towards}", seed: "${draw}", steps: 9, snapshots: {steps: [3]}}
  delta: {kind: extract, inputs: {base: base, aligned: aligned, prompts: texts}}
  geometry:
    kind: measure
    inputs: {delta: delta, against: {stage: delta, where: {asked: straight}}}
  behaviour:
    kind: behave
    inputs: {model: aligned, prompts: texts}
    params: {toxic_words: prompts}
  patched:
    kind: intervene
    inputs: {base: base, aligned: aligned, prompts: texts, delta: delta}
    params: {intervention: add-mean-offset, toxic_words: prompts}
  before: {kind: behave, inputs: {model: base, prompts: texts}, params: {toxic_words: prompts}}
  tuned:
    kind: align
    inputs: {model: base, pairs: pairs}
    params: {objective: sft, steps: 1}
  preferred:
    kind: align
    inputs: {model: tuned, pairs: pairs, reference: {stage: reference-of-tuned}}
    params: {objective: dpo, steps: 1}
  reference-of-tuned: {kind: reference, inputs: {model: tuned, pairs: pairs}}
  moved: {kind: extract, inputs: {base: tuned, aligned: preferred, prompts: texts}}
  geometry-of-both: {kind: measure, inputs: {delta: moved}}
  moved-by-all: {kind: extract, inputs: {base: base, aligned: preferred, prompts: texts}}
  geometry-of-all: {kind: measure, inputs: {delta: moved-by-all}}
  before-preferred: 
    kind: behave
    inputs: {model: tuned, prompts: texts}
    params: {toxic_words: prompts}
  after-preferred: 
    kind: behave
    inputs: {model: preferred, prompts: texts}
    params: {toxic_words: prompts}
  table: {kind: compare, gather: [geometry, behaviour, before]}
"""


@pytest.fixture(params=["local", "memory"])
def found(request, tmp_path):
    """Circumstances of every job that measures, by its label."""
    root = Storage(tmp_path if request.param == "local" else f"memory://{tmp_path}")
    plan = make_plan(parse_study(STUDY))
    for job in plan.jobs:
        write_request(root, job)
    measuring = [job for job in plan.jobs if job.kind in ("measure", "behave", "intervene")]
    known = circumstances_of([Artifact(root, job.kind, job.key) for job in measuring])
    return {job.label: known[job.key] for job in measuring}


def known_with(root, study, facts):
    """Kind and circumstances of every job that measures, where records hold facts by kind."""
    plan = make_plan(parse_study(study))
    for job in plan.jobs:
        write_request(root, job)
        if job.kind in facts:
            of_job = facts[job.kind]
            record = Record(key=job.key, kind=job.kind, attempt="1", files={}, facts=of_job)
            root.create(f"{job.folder}/record.json", record.to_json())
    measuring = [job for job in plan.jobs if job.kind in ("measure", "behave", "intervene")]
    known = circumstances_of([Artifact(root, job.kind, job.key) for job in measuring])
    return [(job.kind, known[job.key]) for job in measuring]


def test_weights_that_were_rounded_are_known_of_all_that_was_measured_with_them(tmp_path):
    study = STUDY.replace("kind: pretrain\n", "kind: pretrained\n").replace(
        '{config: "${rung.config}", format: nursery, steps: 1}',
        '{source: "hf://tiny/model", revision: "%s", gguf_file: a.gguf}' % ("ab" * 20),
    )
    facts = {"pretrained": {"stored_weights": "4-bit weights", "dequantised": True}}
    known = known_with(Storage(tmp_path), study, facts)
    assert {about.rounded for _, about in known} == {"4-bit weights"}


def test_models_that_compute_otherwise_are_known_of_all_that_rests_on_their_difference(tmp_path):
    facts = {"extract": {"computed_otherwise": "eps 1 and 2"}, "behave": {"num_prompts": 12}}
    known = known_with(Storage(tmp_path), STUDY, facts)
    told = {
        kind: about.computed_otherwise for kind, about in known if kind in ("measure", "behave")
    }
    assert told == {"measure": "eps 1 and 2", "behave": None}


def test_prompts_that_were_left_out_are_known_of_what_was_measured_without_them(tmp_path):
    store = {"num_prompts": 8, "too_long": [1, 2, 3], "refused": {"no such role": [9]}}
    facts = {"extract": {"store": store}, "behave": {"num_prompts": 12, "num_too_long": 0}}
    known = known_with(Storage(tmp_path), STUDY, facts)
    why = "3 longer than there is room for, 1 refused by the template"
    told = {"measure": f"4 of 12 prompts are left out ({why})", "behave": None, "intervene": None}
    assert all(about.left_out == told[kind] for kind, about in known)


def test_a_geometry_knows_its_models_prompts_and_what_it_is_held_against(found):
    about = found["geometry[rung=small,towards=sft,draw=1,asked=turned]"]
    assert (about.objective, about.transform, about.dialogue) == ("sft", "rot13", False)
    assert about.from_scratch and about.preferences is Origin.LANGUAGE
    plain = found["geometry[rung=small,towards=sft,draw=1,asked=straight]"]
    assert plain.is_plain and about.against_prompts == plain.prompts == plain.against_prompts
    assert about.source == plain.source and about.prompts != plain.prompts


def test_what_a_number_is_held_against_is_known_by_its_run(found):
    held = [about for about in found.values() if about.against_aligned is not None]
    assert held and all(about.against_run == about.run for about in held)


def test_a_base_that_was_aligned_itself_is_the_base_and_its_own_origin_is_known(found):
    about = found["geometry-of-both[rung=small,asked=turned]"]
    assert about.objective == "dpo" and about.from_scratch
    from_nothing = found["geometry[rung=small,towards=dpo,draw=0,asked=turned]"]
    assert about.base not in (None, from_nothing.base, about.aligned)
    of_all = found["geometry-of-all[rung=small,asked=turned]"]
    assert (of_all.aligned, of_all.base) == (about.aligned, from_nothing.base)
    assert [known.spans_trainings for known in (of_all, about, from_nothing)] == [
        True,
        False,
        False,
    ]


def test_what_a_model_says_that_was_aligned_before_is_of_the_base_of_the_next(found):
    before = found["before-preferred[rung=small,asked=turned]"]
    after = found["after-preferred[rung=small,asked=turned]"]
    assert after.base == before.aligned != before.base
    assert before.alone and after.alone
    assert not found["geometry-of-both[rung=small,asked=turned]"].alone


RELEASED = """\
study: released
stages:
  base:
    kind: pretrained
    params: {source: "hf://tiny/base", revision: "abababababababababababababababababababab"}
  chat:
    kind: pretrained
    params: {source: "hf://tiny/chat", revision: "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"}
  other:
    kind: pretrained
    params: {source: "hf://tiny/other", revision: "efefefefefefefefefefefefefefefefefefefef"}
  texts: {kind: prompts, params: {format: nursery}}
  delta: {kind: extract, inputs: {base: base, aligned: chat, prompts: texts}}
  geometry: {kind: measure, inputs: {delta: delta}}
  floor: {kind: extract, inputs: {base: base, aligned: base, prompts: texts}}
  geometry-of-nothing: {kind: measure, inputs: {delta: floor}}
  before: {kind: behave, inputs: {model: base, prompts: texts}, params: {toxic_words: prompts}}
  after: {kind: behave, inputs: {model: chat, prompts: texts}, params: {toxic_words: prompts}}
  table: {kind: compare, gather: [geometry, before, after]}
"""


@pytest.mark.parametrize("bases", [1, 2])
def test_what_a_released_chat_model_says_is_of_the_base_that_it_is_compared_with(tmp_path, bases):
    root = Storage(tmp_path)
    second = "{kind: measure, inputs: {delta: delta-of-other}}"
    again = "{kind: extract, inputs: {base: other, aligned: chat, prompts: texts}}"
    more = f"  delta-of-other: {again}\n  geometry-of-other: {second}\n" if bases == 2 else ""
    plan = make_plan(parse_study(RELEASED.replace("  table:", f"{more}  table:")))
    for job in plan.jobs:
        write_request(root, job)
    measuring = [job for job in plan.jobs if job.kind in ("measure", "behave")]
    known = circumstances_of([Artifact(root, job.kind, job.key) for job in measuring])
    found = {job.stage: known[job.key] for job in measuring}
    after, before, offset = (found[name] for name in ("after", "before", "geometry"))
    assert (before.aligned, before.objective) == (None, None)
    if bases == 1:
        assert (after.base, after.aligned, after.run) == (before.base, offset.aligned, offset.run)
        assert after.objective == offset.objective == "published" and after.alone
    else:  # which of the two it was made from, nobody says
        assert (after.base, after.aligned) == (offset.aligned, None)


def test_what_a_base_says_is_of_no_objective_and_has_the_same_base_and_prompts(found):
    before = found["before[rung=small,asked=turned]"]
    after = found["behaviour[rung=small,towards=dpo,draw=0,asked=turned]"]
    assert before.aligned is None and before.objective is None and before.preferences is None
    assert after.aligned is not None and after.objective == "dpo"
    assert (before.base, before.prompts) == (after.base, after.prompts)


def test_an_intervention_knows_which_model_it_changed(found):
    about = found["patched[rung=small,towards=dpo,draw=0,asked=straight]"]
    assert (about.intervention, about.changed) == ("add-mean-offset", "base")
    assert about.aligned == found["geometry[rung=small,towards=dpo,draw=0,asked=straight]"].aligned


def test_prompts_with_turns_are_a_dialogue_and_not_plain(found):
    about = found["behaviour[rung=small,towards=dpo,draw=0,asked=talk]"]
    assert about.dialogue and about.transform == "plain" and not about.is_plain


def test_two_seeds_are_two_models_of_one_objective(found):
    first, second = (
        found[f"behaviour[rung=small,towards=dpo,draw={draw},asked=talk]"] for draw in (0, 1)
    )
    assert first.aligned != second.aligned and first.objective == second.objective


def test_a_job_whose_request_is_gone_has_no_circumstances(tmp_path):
    assert circumstances_of([Artifact(Storage(tmp_path), "measure", "0" * 64)]) == {}


def test_a_snapshot_knows_its_step_and_the_run_that_it_was_taken_of(tmp_path):
    root = Storage(tmp_path)
    study = STUDY.replace("  table:", KEPT + "  table:").replace(
        "stages:\n", "  kept: [step-3, end]\nstages:\n", 1
    )
    plan = make_plan(parse_study(study))
    for job in plan.jobs:
        write_request(root, job)
        if job.kind == "snapshot":
            at = {"step-3": 3, "end": 9}[job.cell["kept"]]
            facts = {"step": at, "midway": job.cell["kept"] != "end"}
            record = Record(key=job.key, kind=job.kind, attempt="1", files={}, facts=facts)
            root.create(f"{job.folder}/record.json", record.to_json())
    measuring = [job for job in plan.jobs if job.stage in ("said", "behaviour")]
    known = circumstances_of([Artifact(root, job.kind, job.key) for job in measuring])
    cell = "rung=small,towards=dpo,draw=1,asked=straight"
    by_label = {job.label: known[job.key] for job in measuring}
    end, plain = by_label[f"said[{cell},kept=end]"], by_label[f"behaviour[{cell}]"]
    midway = by_label[f"said[{cell},kept=step-3]"]
    assert (midway.step, midway.midway, end.step, end.midway) == (3, True, 9, False)
    assert (plain.step, plain.midway) == (None, False)
    for about in (midway, end):
        assert (about.base, about.run, about.objective) == (plain.base, plain.run, "dpo")
        assert about.preferences is Origin.LANGUAGE and about.from_scratch
    assert end.aligned == plain.aligned != midway.aligned


def test_a_training_that_keeps_models_on_its_way_is_the_one_that_keeps_none(tmp_path):
    root = Storage(tmp_path)
    plan = make_plan(parse_study(STUDY.replace("  table:", KEEPING_NONE + "  table:")))
    for job in plan.jobs:
        write_request(root, job)
    measuring = [job for job in plan.jobs if job.stage in ("said", "behaviour")]
    known = circumstances_of([Artifact(root, job.kind, job.key) for job in measuring])
    cell = "rung=small,towards=dpo,draw=1,asked=straight"
    by_label = {job.label: known[job.key] for job in measuring}
    none, keeping = by_label[f"said[{cell}]"], by_label[f"behaviour[{cell}]"]
    assert (keeping.run, keeping.aligned) == (none.run, none.aligned)
    other = by_label[f"said[{cell.replace('dpo', 'sft')}]"]
    assert other.run != none.run


KEPT = """\
  dosed:
    kind: snapshot
    over: [kept]
    inputs: {aligned: aligned}
    params: {snapshot: "${kept}"}
  said: {kind: behave, inputs: {model: dosed, prompts: texts}, params: {toxic_words: prompts}}
"""

KEEPING_NONE = """\
  straight-through:
    kind: align
    over: [towards, draw]
    inputs: {model: base, pairs: pairs, reference: reference}
    params: {objective: "${towards}", seed: "${draw}", steps: 9}
  said:
    kind: behave
    inputs: {model: straight-through, prompts: texts}
    params: {toxic_words: prompts}
"""
