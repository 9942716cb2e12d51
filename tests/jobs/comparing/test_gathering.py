"""Measurements of many jobs as one table."""

from dataclasses import replace

import pyarrow as pa
import pytest

from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import to_table
from analysis.long_table.files import to_parquet
from analysis.measurement import label_of
from cluster.errors import UserError
from jobs.comparing import telling_apart
from jobs.comparing.comparison import long_table
from jobs.comparing.details import details
from jobs.comparing.gathering import collect
from jobs.comparing.telling_apart import with_objectives
from jobs.comparing.view import View


def value(metric="toxic_mass", number=0.5, **over):
    return {"metric": metric, "value": number, **over}


def found(comparison, **where):
    return [
        row for row in comparison.rows if all(row[name] == wanted for name, wanted in where.items())
    ]


def test_cells_become_axes_and_the_order_of_stages_changes_nothing(done):
    sources = [
        done("rates", {"model": "b", "seed": "1"}, [value(number=0.2)]),
        done("rates", {"model": "a", "seed": "10"}, [value(number=0.1), value("perplexity", 9.0)]),
        done("geometry", {"model": "a", "objective": "dpo"}, [value("cka", layer=1, depth=0.5)]),
    ]
    comparison = collect(sources)
    assert comparison.order == {
        "model": ("a", "b"), "objective": ("dpo",), "seed": ("1", "10"),
    }  # fmt: skip
    (row,) = found(comparison, metric="perplexity")
    assert (row["model"], row["seed"], row["objective"], row["value"]) == ("a", "10", None, 9.0)
    assert row["key"] == sources[1].artifact.key
    again = collect(sources[::-1])
    assert long_table(again, "parquet") == long_table(comparison, "parquet")
    axes = [axis for axis in comparison.axes if axis != "model"]
    assert to_table(comparison.rows, axes).equals(comparison.measurements)


def test_the_long_table_may_be_of_some_values_alone(done):
    sources = [
        done("rates", {"model": "a", "beta": "10"}, [value(number=0.1)]),
        done("rates", {"model": "b", "beta": "2"}, [value(number=0.2)]),
        done("size", {"model": "b"}, [value("perplexity", 9.0)]),
    ]
    kept = collect(sources).where({"beta": ["2"]})
    assert [row["value"] for row in kept.rows] == [9.0, 0.2]
    assert long_table(kept, "csv").count(b"\n") == 3
    with pytest.raises(UserError, match="there is 10, 2"):
        collect(sources).where({"beta": ["3"]})


def test_typed_values_make_numbers_of_an_axis_and_keep_its_labels(done, lost):
    def source(number, **cell):
        made = done("rates", {"model": "a", **cell}, [value(number=number)])
        return replace(made, values={"model": "a", "seed": int(cell["seed"]), "beta": number})

    sources = [source(10.0, seed="0", beta="10"), source(2.0, seed="0", beta="2")]
    gone = replace(lost("rates", {"model": "a", "seed": "1", "beta": "0.5"}))
    sources.append(replace(gone, values={"model": "a", "seed": 1, "beta": 0.5}))
    comparison = collect(sources)
    assert comparison.measurements["beta"].to_pylist() == [0.5, 2.0, 10.0]
    assert comparison.measurements["seed"].to_pylist() == [1, 0, 0]
    table = comparison.table(View(metrics=["toxic_mass"], columns=["beta"], where={"seed": "0"}))
    assert [header[-1] for header in table.columns] == ["10", "2"]
    untyped = collect([replace(each, values={}) for each in sources])
    assert untyped.measurements["beta"].to_pylist() == ["0.5", "10", "2"]
    texts = [sorted(long_table(each, "csv").splitlines()) for each in (untyped, comparison)]
    assert texts[0] == texts[1]


def test_a_model_without_an_axis_is_named_by_family_and_size(done):
    comparison = collect([done("rates", {}, [value()])])
    assert [row["model"] for row in comparison.rows] == ["gpt2-1000"]


def test_an_axis_that_a_job_sweeps_stands_beside_those_of_the_cell(done):
    doses = [value("patched_toxic_mass", dose / 10, dose=f"{dose:g}") for dose in (0, 2, 10)]
    patched = done("patched", {"model": "a"}, doses, swept=["dose"])
    comparison = collect([patched, done("rates", {"model": "a"}, [value()])])
    assert {row["dose"]: row["value"] for row in comparison.rows if row["dose"] is not None} == {
        0.0: 0.0, 2.0: 0.2, 10.0: 1.0,
    }  # fmt: skip
    table = comparison.table(View(metrics=["toxic_mass"], columns=["dose"]))
    assert [cell.number.value for cell in table.cells[0]] == [0.5]
    assert "dose" in comparison.order


def test_a_job_that_failed_is_missing_at_every_dose_that_others_measured(done, lost):
    doses = [value("patched_toxic_mass", dose / 10, dose=f"{dose:g}") for dose in (0, 10)]
    patched = done("patched", {"model": "a"}, doses, swept=["dose"])
    comparison = collect([patched, lost("patched", {"model": "b"})])
    missing = found(comparison, model="b")
    assert [(row["dose"], row["status"], row["reason"]) for row in missing] == [
        (0.0, "job_failed", "killed"),
        (10.0, "job_failed", "killed"),
    ]


def test_a_failure_keeps_its_models_facts_and_says_what_it_would_have_measured(done, lost):
    rates = done("rates", {"model": "a"}, [value()])
    comparison = collect([rates, lost("geometry", {"model": "a"}, ["captured_energy", "cka"])])
    missing = found(comparison, status="job_failed")
    names = [row["metric"] for row in missing]
    assert "cka" in names and "captured_energy_ratio" in names
    assert {row["num_parameters"] for row in missing} == {1000}


def test_a_million_measurements_stay_columns(done):
    """Rows are made only where asked for: the table holds what was gathered."""
    comparison = collect([done("rates", {"model": "a"}, [value()])])
    comparison.table(View())
    assert "rows" not in vars(comparison)


def test_contrasts_know_the_stages_of_jobs_and_the_studys_own_place(done):
    def measured(mean, **cell):
        left_out = tuple(mean + 0.01 * (group % 7 - 3) / 19 for group in range(20))
        ends = {"low": mean - 0.01, "high": mean + 0.01, "num_groups": 20, "left_out": left_out}
        return done("rates", {"model": "a", **cell}, [value(number=mean, **ends)])

    sources = [measured(0.1, objective="dpo"), measured(0.5, objective="sft")]
    comparison = collect([*sources, replace(sources[0], stage="again")])
    assert comparison.stages[sources[0].artifact.key] == ("again", "rates")
    table = comparison.contrasts(View(contrasts=["objective=sft-dpo"], metrics=["toxic_mass"]))
    ((difference, *_),) = table.cells
    assert difference.number.value == 0.4 and "rates" in table.rows[0]
    with pytest.raises(UserError, match="did you mean 'sft'"):
        comparison.contrasts(View(contrasts=["objective=stf-dpo"]))


def test_numbers_of_two_stages_in_one_cell_are_told_apart_by_their_stages(done, lost):
    """Offsets from the base and from SFT, or rates before and after, without an axis for it."""
    small, large = {"model": "a"}, {"model": "b"}
    sources = [
        done("from-base", small, [value("relative_norm", 0.2), value("rank", 3.0)]),
        done("from-sft", small, [value("relative_norm", 0.1), value("rank", 3.0)]),
        done("from-base", large, [value("relative_norm", 0.3)]),
        lost("from-sft", large),
    ]
    comparison = collect(sources)
    norms = [
        (row["model"], row["compared_by"], row["value"])
        for row in found(comparison, metric="relative_norm")
    ]
    assert norms == [
        ("a", "from-base", 0.2),
        ("a", "from-sft", 0.1),
        ("b", "from-base", 0.3),
        ("b", "from-sft", None),
    ]
    assert {row["compared_by"] for row in found(comparison, metric="rank")} == {None}
    table = comparison.table(View(metrics=["relative_norm"]))
    assert sorted(header[0] for header in table.columns) == [
        "relative_norm, from-base",
        "relative_norm, from-sft",
    ]


def test_a_job_that_failed_has_the_objective_that_its_stage_measured(done, lost, monkeypatch):
    small, large = {"model": "a"}, {"model": "b"}
    after, before = (done(stage, small, [value()]) for stage in ("after", "before"))
    known = {
        after.artifact.key: Circumstances(objective="sft"),
        before.artifact.key: Circumstances(),
    }
    monkeypatch.setattr(telling_apart, "circumstances_of", lambda artifacts: known)
    told = with_objectives([after, lost("after", large), before, lost("before", large)])
    assert [source.cell.get("objective") for source in told] == ["sft", "sft", None, None]
    assert [source.cell["model"] for source in told] == ["a", "b", "a", "b"]


@pytest.mark.parametrize("axis", ["seed", "trial"])
def test_the_base_is_no_seed_of_the_models_made_of_it(done, monkeypatch, axis):
    """The study has seeds and no axis for objectives; the base was trained, or taken, once."""
    after = [done("after", {"model": "a", axis: seed}, [value(number=0.1)]) for seed in "01"]
    before = [done("before", {"model": "a"}, [value(number=0.5)])]
    aligned = Circumstances(objective="dpo")
    known = {source.artifact.key: aligned for source in after}
    monkeypatch.setattr(telling_apart, "circumstances_of", lambda artifacts: known)
    comparison = collect([*after, *before], axis)
    table = comparison.table(View(metrics=["toxic_mass"], seeds=axis))
    assert [header[-1] for header in table.columns] == ["base", "dpo"]
    numbers = [cell.number for cell in table.cells[0]]
    assert [(number.value, number.num_seeds) for number in numbers] == [(0.5, 1), (0.1, 2)]
    assert "objective" not in collect([*after, *before], None).order  # nothing is averaged


def test_a_base_that_failed_is_no_seed_either(done, lost):
    after = [done("after", {"model": "a", "seed": seed}, [value(number=0.1)]) for seed in "01"]
    comparison = collect([*after, lost("before", {"model": "a"}, ["toxic_mass"])])
    told = {(row["compared_by"], row["value"]) for row in found(comparison, metric="toxic_mass")}
    assert told == {("after", 0.1), ("before", None)}


def test_what_two_stages_say_alike_of_one_sample_is_drawn_once(done):
    def source(stage, cell, content):
        table = to_parquet(pa.table({"along": [content]}))
        return done(stage, cell, [value(number=content)], files={"plane.parquet": table})

    small, large = {"model": "a"}, {"model": "b"}
    sources = [
        source("geometry", small, 1.0),
        source("spectra", small, 1.0),
        source("geometry", large, 1.0),
        source("spectra", large, 2.0),
    ]
    found = [
        (each.about["model"], each.read()["along"][0].as_py()) for each in details(sources, "plane")
    ]
    assert found == [("a", 1.0), ("b", 1.0), ("b", 2.0)]


@pytest.mark.parametrize("first", ["tuned", "released"])
def test_what_a_stage_without_an_axis_leaves_is_drawn_beside_those_that_have_it(done, first):
    from analysis.drawing.cuts import cuts
    from analysis.tables.layout import TableLayout

    def source(stage, cell):
        table = to_parquet(pa.table({"along": [1.0 if stage == "tuned" else 2.0]}))
        return done(stage, cell, [value()], files={"plane.parquet": table})

    sources = [source("tuned", {"model": "a", "adapter": "x"}), source("released", {"model": "a"})]
    found = details(sources if first == "tuned" else sources[::-1], "plane")
    cells = [dict(each.about) for each in found]
    assert {cell["adapter"] for cell in cells} == {"x", None}
    (cut,) = cuts(cells, TableLayout())
    assert len(cut.rows) == 2


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ([1, "a"], ["1", "a"]),
        ([8, 16, "full"], ["16", "8", "full"]),
        ([True, 1], ["1", "true"]),
        ([True, 0.5], ["0.5", "true"]),
        ([1, 0.5], [0.5, 1.0]),
        ([2**70, 1], ["1", str(2**70)]),
        ([2**53 + 1, 0.5], ["0.5", str(2**53 + 1)]),
        ([True, False], [False, True]),
    ],
)
def test_values_of_unlike_types_on_one_axis_are_text(done, lost, values, column):
    sources = [
        replace(make("rates", {"model": "a", "mix": label_of(given)}, *rest), values={"mix": given})
        for make, *rest in ((done, [value()]), (lost, ["toxic_mass"]))
        for given in values
    ]
    comparison = collect(sources)
    assert sorted(set(comparison.measurements["mix"].to_pylist())) == column
    assert set(comparison.table(View(metrics=["toxic_mass"])).columns) == {
        ("toxic_mass", label_of(given)) for given in values
    }
    assert long_table(comparison, "csv") and long_table(comparison, "parquet")
    for given in values:
        shown = comparison.table(View(where={"mix": label_of(given)}, metrics=["toxic_mass"]))
        assert len(shown.cells) == 1


def test_what_only_looks_like_a_number_to_python_stays_text(done):
    doses = [value("patched_toxic_mass", 0.5, dose=dose) for dose in ("1_000", "nan", "2")]
    comparison = collect([done("patched", {"model": "a"}, doses, swept=["dose"])])
    assert sorted(comparison.measurements["dose"].to_pylist()) == ["1_000", "2", "nan"]
