"""Tables and figures under a study's folder are of what the study asks for now."""

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from tests.launching import launch_locally

STUDY = """
study: rates
stages:
  base: {kind: pretrain, params: {config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1},
         format: nursery, options: {num_documents: 20}, steps: 3, learning_rate: 1e-3}}
  texts: {kind: prompts, params: {format: nursery, options: {num_prompts: 10}}}
  rates: {kind: behave, inputs: {model: base, prompts: texts}, params: {new_tokens: 1}}
  table: {kind: compare, gather: [rates], params: {figures: false}}
"""
DIVERGES = STUDY.replace("learning_rate: 1e-3", "learning_rate: 1e30")


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """A folder with a study and the root that it was launched on."""
    folder = tmp_path_factory.mktemp("views")
    launch_locally(Storage(folder / "root"), folder / "rates.yaml", STUDY)
    return folder


@pytest.fixture
def launch(launched):
    """A function: text of the study -> the files of its tables after a launch."""
    root = Storage(launched / "root")

    def run(text):
        launch_locally(root, launched / "rates.yaml", text)
        return list(root.walk("studies/rates/tables"))

    assert run(STUDY)  # nothing to do, but for what another test left
    root.write("studies/rates/tables/notes/mine.txt", b"somebody's own")
    root.write("studies/rates/figures/table/mine.png", b"drawn by an earlier launch")
    return run


def views(files):
    return {name.split("/")[3] for name in files} - {"notes"}


def test_a_comparison_that_was_renamed_leaves_one_view(launch, launched):
    root = Storage(launched / "root")
    assert views(launch(STUDY)) == {"table"}
    files = launch(STUDY.replace("  table:", "  overview:"))
    assert views(files) == {"overview"}
    assert not root.list("studies/rates/figures/table")
    assert root.exists("studies/rates/tables/notes/mine.txt")


def test_where_nothing_of_a_changed_study_is_measured_no_table_of_before_stands(launch):
    assert views(launch(DIVERGES)) == set()
    assert views(launch(STUDY)) == {"table"}


def test_a_page_of_an_edited_study_takes_no_table_of_the_launched_one(launch, launched, capsys):
    launch(STUDY)
    (launched / "rates.yaml").write_text(DIVERGES.replace("1e30", "2e30"))
    words = ["report", str(launched / "rates.yaml"), "--root", str(launched / "root")]
    assert main(words) == 2
    assert f"`deltascale launch {' '.join(words[1:])}` runs it" in capsys.readouterr().err
    assert Storage(launched / "root").exists("studies/rates/tables/table/key")


def test_a_view_in_part_goes_when_its_study_changes(launch):
    more = STUDY.replace("gather: [rates]", "gather: [rates, others]").replace(
        "  table:",
        "  others: {kind: behave, inputs: {model: worse, prompts: texts}, "
        "params: {new_tokens: 1}}\n  table:",
    )
    worse = DIVERGES.split("stages:\n")[1].split("  texts:")[0].replace("base:", "worse:")
    files = launch(more.replace("  texts:", f"{worse}  texts:"))
    assert "studies/rates/tables/table/key" in files
    assert launch(DIVERGES) == ["studies/rates/tables/notes/mine.txt"]
