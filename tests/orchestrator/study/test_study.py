import pytest

from cluster.errors import UserError
from orchestrator.study.study import load_study, parse_study


def refused(text: str) -> UserError:
    with pytest.raises(UserError) as caught:
        parse_study(text)
    assert caught.value.where.startswith("study.yaml:")
    return caught.value


STUDY = """\
study: small
axes:
  model:
    - {name: m1, d_model: 8}
    - {name: m2, d_model: 16}
  rate: [1e-6, 1.0e-5, 1]
stages:
  base: {kind: probe, over: model}
  next: {kind: probe, over: [rate], inputs: {after: {stage: base, where: {model: m1}}}}
  last: {kind: probe, inputs: {after: next}, where: {rate: [1.0e-6, 1.0]}}
"""


def test_a_study_reads_with_its_shorthands_written_out():
    study = parse_study(STUDY)
    assert study.name == "small"
    assert list(study.axes["model"].values) == ["m1", "m2"]
    assert study.axes["model"].values["m2"]["d_model"] == 16
    assert study.stages["base"].over == ("model",)
    assert study.stages["next"].inputs["after"].pins == {"model": "m1"}
    assert study.stages["last"].inputs["after"].stage == "next"


def test_a_number_has_one_name_however_it_is_written():
    study = parse_study(STUDY)
    assert list(study.axes["rate"].values) == ["1e-06", "1e-05", "1"]
    assert study.stages["last"].where == ({"rate": frozenset({"1e-06", "1"})},)


def test_a_file_is_read_with_its_folder(tmp_path):
    (tmp_path / "s.yaml").write_text(STUDY)
    assert load_study(tmp_path / "s.yaml").folder == tmp_path


@pytest.mark.parametrize(
    ("old", "new", "line", "error", "hint"),
    [
        ("study: small", "study: ../x", 1, "may not contain `..` or a slash", None),
        ("study: small", "study: .hidden", 1, "cannot be a name", None),
        ("study: small", "study: 3", 1, "valid string", None),
        ("study: small", "studdy: small", 1, "unknown field 'studdy'", "'study'"),
        ("  base: {kind: probe", "  a/b: {kind: probe", 8, "may not contain `..` or a slash", None),
        ("  rate: [1e-6", "  ra te: [1e-6", 6, "cannot be a name", None),
        ("name: m2", "name: m1", 5, "the value 'm1' twice", None),
        ("name: m2", "name: ../m", 5, "may not contain `..` or a slash", None),
        ("{name: m2, ", "{", 5, "a mapping with a name", None),
        ("[1e-6, 1.0e-5, 1]", "[1e-6, 0.000001]", 6, "the value '1e-06' twice", None),
        ("[1e-6, 1.0e-5, 1]", "[]", 6, "has no values", None),
        ("[1e-6, 1.0e-5, 1]", "5", 6, "write a list", None),
        ("[1e-6, 1.0e-5, 1]", "[[1]]", 6, "must be a scalar", None),
        ("over: model", "over: modle", 8, "unknown axis 'modle'", "'model'"),
        ("over: model", "over: [model, model]", 8, "names 'model' twice", None),
        ("over: model", "ovr: model", 8, "unknown field 'ovr'", "'over'"),
        ("where: {model: m1}", "where: {model: m3}", 9, "value of axis 'model' 'm3'", "'m1'"),
        ("where: {model: m1}", "where: {model: [m1]}", 9, "number", None),
        ("where: {rate: [1.0e-6, 1.0]}", "where: {rat: 1}", 10, "unknown axis 'rat'", "'rate'"),
        ("inputs: {after: next}", "inputs: {after: {stge: next}}", 10, "'stge'", "'stage'"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_with_its_line(old, new, line, error, hint):
    assert old in STUDY
    fault = refused(STUDY.replace(old, new))
    assert error in fault.error
    assert fault.where.startswith(f"study.yaml:{line}")
    if hint:
        assert hint in fault.hint or hint.strip("'") in str(fault.allowed)


def test_several_mistakes_of_shape_come_in_one_message():
    fault = refused(
        STUDY.replace("over: model", "ovr: model").replace("inputs: {after: next}", "per: 3")
    )
    assert "ovr" in fault.error
    assert "study.yaml:10" in fault.error


@pytest.mark.parametrize("text", ["", "- a\n", "just words\n"])
def test_a_file_that_is_no_mapping_says_what_a_study_has(text):
    assert "stages" in refused(text).allowed


def test_a_study_needs_a_stage():
    assert "stages" in refused("study: x\nstages: {}\n").error
