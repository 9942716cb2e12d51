import pytest

from cluster.errors import UserError
from orchestrator.plan.cells import agreements, gather_rows, stage_grid
from orchestrator.plan.grid import Grid
from orchestrator.study.study import Study, parse_study

AXES = """
study: s
axes:
  model: [m1, m2]
  seed: [0, 1]
  condition: [plain, rot13]
stages:
  texts: {kind: x, over: [condition]}
  base: {kind: x, over: [model]}
"""


def grids_of(text: str) -> tuple[Study, dict[str, Grid]]:
    study = parse_study(AXES + text)
    grids: dict[str, Grid] = {}
    for stage in study.stages.values():
        grids[stage.name] = stage_grid(stage, study, grids)
    return study, grids


def named(study: Study, grid: Grid) -> list[str]:
    names = [list(study.axes[axis].values) for axis in grid.axes]
    return [" ".join(names[at][value] for at, value in enumerate(row)) for row in grid.rows]


def refused(text: str) -> UserError:
    with pytest.raises(UserError) as caught:
        grids_of(text)
    assert caught.value.where.startswith("study.yaml:")
    return caught.value


def test_cells_are_the_product_of_over_and_all_axes_of_the_inputs():
    study, grids = grids_of("  a: {kind: x, over: [seed], inputs: {b: base, t: texts}}")
    assert grids["a"].axes == ("model", "seed", "condition")
    assert len(grids["a"].rows) == 8


def test_two_inputs_agree_on_the_axes_they_share():
    study, grids = grids_of("""
  a: {kind: x, over: [seed], inputs: {b: base}}
  c: {kind: x, inputs: {b: base, a: a, t: texts}}
""")
    assert named(study, grids["c"])[:4] == ["m1 0 plain", "m1 0 rot13", "m1 1 plain", "m1 1 rot13"]
    found = dict(agreements(study.stages["c"], study, grids))
    assert found["b"].row((1, 0, 1)) == (1,)
    assert found["a"].row((1, 0, 1)) == (1, 0)
    assert found["t"].row((1, 0, 1)) == (1,)


def test_a_pin_drops_the_axis_from_the_agreement():
    study, grids = grids_of("""
  delta: {kind: x, inputs: {b: base, t: texts}}
  geometry: {kind: x, inputs: {delta: delta, against: {stage: delta, where: {condition: plain}}}}
  only: {kind: x, inputs: {delta: {stage: delta, where: {condition: rot13}}}}
""")
    assert grids["geometry"].rows == grids["delta"].rows
    against = dict(agreements(study.stages["geometry"], study, grids))["against"]
    assert against.row((1, 1)) == (1, 0)
    assert grids["only"].axes == ("model",)
    assert dict(agreements(study.stages["only"], study, grids))["delta"].row((0,)) == (0, 1)


def test_a_pinned_axis_can_come_back_through_over():
    study, grids = grids_of(
        "  a: {kind: x, over: [condition], inputs: {t: {stage: texts, where: {condition: plain}}}}"
    )
    assert named(study, grids["a"]) == ["plain", "rot13"]


def test_where_keeps_cells_that_match_any_of_its_mappings_and_others_downstream_follow():
    study, grids = grids_of("""
  a: {kind: x, over: [seed], inputs: {b: base}, where: [{seed: 0}, {model: m2, seed: [0, 1]}]}
  c: {kind: x, inputs: {a: a, t: texts}}
""")
    assert named(study, grids["a"]) == ["m1 0", "m2 0", "m2 1"]
    assert len(grids["c"].rows) == 6


def test_an_axis_of_an_input_cannot_be_added_again():
    fault = refused("  a: {kind: x, over: [model], inputs: {b: base}}")
    assert "'model' from its inputs" in fault.error
    assert fault.hint


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("  a: {kind: x, inputs: {b: {stage: base, where: {seed: 0}}}}", "has no axis 'seed'"),
        ("  a: {kind: x, inputs: {b: base}, where: {seed: 0}}", "has no axis 'seed'"),
        (
            "  a: {kind: x, over: seed, inputs: {b: base}, where: {seed: 0}}\n"
            "  c: {kind: x, inputs: {a: a}, where: [{seed: 0}, {seed: 1, model: m1}]}",
            "seed=1; model=m1",
        ),
        (
            "  a: {kind: x, over: seed, inputs: {b: base}, where: {seed: 0}}\n"
            "  c: {kind: x, inputs: {a: {stage: a, where: {seed: 1}}}}",
            "no job of the stage 'a' has seed=1",
        ),
        (
            "  a: {kind: x, over: seed, where: {seed: 0}}\n"
            "  b: {kind: x, over: seed, where: {seed: 1}}\n"
            "  c: {kind: x, inputs: {a: a, b: b}}",
            "agree on the axes they share",
        ),
        ("  g: {kind: x, gather: [base], per: [seed]}", "no gathered stage has the axis 'seed'"),
        (
            "  g: {kind: x, gather: [base, texts], per: [model, condition]}",
            "has all of the axes model, condition",
        ),
    ],
)
def test_what_selects_nothing_is_refused(text, error):
    assert error in refused(text).error


def test_a_gathering_stage_takes_everything_once():
    study, grids = grids_of("  g: {kind: x, gather: [base, texts], per: []}")
    assert grids["g"].rows == ((),)
    assert dict(gather_rows(study.stages["g"], "texts", study, grids)) == {(): [(0,), (1,)]}


def test_gather_per_axis_makes_one_group_per_value_and_shares_what_lacks_the_axis():
    study, grids = grids_of("""
  a: {kind: x, inputs: {b: base, t: texts}}
  g: {kind: x, gather: [a, texts], per: [model]}
""")
    assert named(study, grids["g"]) == ["m1", "m2"]
    assert dict(gather_rows(study.stages["g"], "a", study, grids)) == {
        (0,): [(0, 0), (0, 1)],
        (1,): [(1, 0), (1, 1)],
    }
    assert dict(gather_rows(study.stages["g"], "texts", study, grids)) == {
        (0,): [(0,), (1,)],
        (1,): [(0,), (1,)],
    }


def test_where_narrows_the_groups_of_a_gathering_stage():
    study, grids = grids_of("  g: {kind: x, gather: base, per: model, where: {model: m2}}")
    assert named(study, grids["g"]) == ["m2"]


def test_more_cells_than_may_be_are_refused_before_they_are_made():
    many = ", ".join(str(number) for number in range(1001))
    axes = "".join(f"  axis{number}: [{many}]\n" for number in range(9))
    text = AXES.replace("  model: [m1, m2]\n", "  model: [m1, m2]\n" + axes)
    over = ", ".join(f"axis{number}" for number in range(9))
    study = parse_study(f"{text}  huge: {{kind: x, over: [{over}]}}\n")
    with pytest.raises(UserError, match="1,002,001 cells; 500,000 are the most"):
        stage_grid(study.stages["huge"], study, {})


def test_a_stage_that_would_gather_everything_for_each_of_its_cells_is_refused():
    many = ", ".join(str(number) for number in range(1001))
    text = AXES.replace("  seed: [0, 1]\n", f"  seed: [{many}]\n  other: [{many}]\n")
    study = parse_study(
        text + "  a: {kind: x, over: [seed]}\n  b: {kind: x, over: [other]}\n"
        "  g: {kind: compare, gather: [a, b], per: [seed]}\n"
    )
    grids = {}
    for stage in study.stages.values():
        grids[stage.name] = stage_grid(stage, study, grids)
    with pytest.raises(UserError, match="would gather 1,002,001 jobs of 'b'"):
        list(gather_rows(study.stages["g"], "b", study, grids))
