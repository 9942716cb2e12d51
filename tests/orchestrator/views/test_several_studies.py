"""Several studies side by side: what one has as an axis, another may have once and for all."""

import pytest

from analysis.long_table.columns import to_table
from analysis.long_table.files import to_parquet
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.worker.attempt_folder import AttemptFolder
from orchestrator.dispatch.worker_messages import write_request
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import load_study
from orchestrator.views.several_studies import gather_studies

ONE = """\
study: one
stages:
  base: {kind: pretrain, params: {config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1},
         format: nursery, steps: 1, learning_rate: 1e-3}}
  pairs: {kind: pairs, params: {format: nursery}}
  texts: {kind: prompts, params: {format: nursery}}
  aligned: {kind: align, inputs: {model: base, pairs: pairs}, params: {objective: sft, steps: 1}}
  before: {kind: behave, inputs: {model: base, prompts: texts}, params: {toxic_words: prompts}}
  after: {kind: behave, inputs: {model: aligned, prompts: texts}, params: {toxic_words: prompts}}
  table: {kind: compare, gather: [before, after]}
"""
SEVERAL = (
    ONE.replace("study: one", "study: several\naxes: {objective: [sft]}")
    .replace("kind: align, ", "kind: align, over: [objective], ")
    .replace("objective: sft", 'objective: "${objective}"')
)


def leave(root, file, text):
    """Write a study, and what its jobs would leave: numbers that tell stages apart."""
    file.write_text(text)
    for job in make_plan(load_study(file)).jobs:
        artifact = Artifact(root, job.kind, job.key)
        if job.kind == "compare" or artifact.find_record():
            continue
        write_request(root, job)
        folder = AttemptFolder(artifact, "one")
        row = {"metric": "toxic_mass", "value": len(job.stage) / 10, "family": "gpt2"}
        table = to_table([row], []).drop_columns(["model", "key"])
        (folder.path / "measurements.parquet").write_bytes(to_parquet(table))
        record = Record(key=job.key, kind=job.kind, attempt="one", files=folder.seal())
        root.create(artifact.record_name, record.to_json())
        folder.discard_scratch()
    return str(file)


@pytest.fixture
def studies(tmp_path):
    """Both studies as files, all that they measure done."""
    root = Storage(tmp_path / "root")
    texts = {"one": ONE, "several": SEVERAL}
    return root, [leave(root, tmp_path / f"{name}.yaml", text) for name, text in texts.items()]


def test_a_studys_only_objective_stands_where_others_have_an_axis_for_it(studies):
    root, files = studies
    rows = gather_studies(root, files, {}).comparison.rows
    told = {(row["study"], row["objective"], row["value"]) for row in rows}
    assert told == {
        ("one", None, 0.6),
        ("one", "sft", 0.5),
        ("several", None, 0.6),
        ("several", "sft", 0.5),
    }


def test_an_axis_of_another_name_is_not_said_twice(tmp_path):
    """Rates on two sets of prompts differ, and each cell is of one objective."""
    text = ONE.replace("study: one", "study: other\naxes: {loss: [sft]}")
    text = text.replace("kind: align, ", "kind: align, over: [loss], ")
    text = text.replace("objective: sft", 'objective: "${loss}"')
    text = text.replace(
        "{kind: behave, inputs: {model: base,", "{kind: behave, inputs: {model: aligned,"
    )
    text = text.replace(
        "  before:",
        "  fewer: {kind: prompts, params: {format: nursery, max_prompts: 9}}\n  before:",
    )
    text = text.replace("prompts: texts}, params", "prompts: fewer}, params", 1)
    root = Storage(tmp_path / "root")
    found = gather_studies(root, [leave(root, tmp_path / "other.yaml", text)], {}).comparison
    assert "objective" not in found.axes
    assert {(row["compared_by"], row["value"]) for row in found.rows} == {
        ("before", 0.6),
        ("after", 0.5),
    }


def test_a_study_without_an_axis_for_it_tells_before_and_after_by_the_objective(studies):
    root, files = studies
    alone = gather_studies(root, files[:1], {})
    assert [(row["objective"], row["value"]) for row in alone.comparison.rows] == [
        (None, 0.6),
        ("sft", 0.5),
    ]
    assert {row["compared_by"] for row in alone.comparison.rows} == {None}
    table = alone.comparison.table(alone.view)
    assert [header[-1] for header in table.columns] == ["base", "sft"]


def test_a_table_of_several_studies_has_the_titles_of_all(tmp_path):
    """That of the first alone would be put over numbers of another."""
    root, named = Storage(tmp_path / "root"), "params: {title: What SFT does}}"
    texts = {
        "one": ONE,
        "again": ONE.replace("study: one", "study: again"),
        "named": ONE.replace("study: one", "study: named").replace(
            "gather: [before, after]}", "gather: [before, after], " + named
        ),
    }
    files = [leave(root, tmp_path / f"{name}.yaml", text) for name, text in texts.items()]
    titles = [gather_studies(root, files[:number], {}).view.title for number in (1, 2, 3)]
    usual = "Comparison across model sizes"
    assert titles == [usual, usual, f"{usual}; What SFT does"]


def test_a_study_that_would_show_something_else_by_itself_is_told(tmp_path):
    root, stage = Storage(tmp_path / "root"), "gather: [before, after]}"
    texts = {
        "one": ONE,
        "deep": ONE.replace("study: one", "study: deep").replace(
            stage, "gather: [before, after], params: {depth: 0.5, title: Deep, figures: false}}"
        ),
        "some": ONE.replace("study: one", "study: some").replace(
            stage, "gather: [before, after], params: {where: {objective: [sft]}, site: mlp_out}}"
        ),
    }
    files = [leave(root, tmp_path / f"{name}.yaml", text) for name, text in texts.items()]
    one, deep, some = files
    assert gather_studies(root, files, {}).notes == [
        f"all is shown as {one} says (depth: 0.75), not as {deep} does by itself (depth: 0.5)",
        f"all is shown as {one} says (where: all; site: as measured), not as {some} does by itself "
        "(where: objective=sft; site: mlp_out)",
    ]
    chosen = {"depth": 0.25, "where": {"objective": ["sft"]}, "site": "resid_mid"}
    assert gather_studies(root, files, chosen).notes == []
    assert gather_studies(root, [one, one], {}).notes == []
