"""The table of contrasts: what it pairs, what it refuses, and families that no view changes."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from analysis.contrasts.differences import holm
from analysis.estimates.intervals import jackknife
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import to_rows
from analysis.long_table.query import LongTable
from analysis.long_table.selection import Selection
from analysis.tables.contrast_table import contrast_table
from analysis.tables.layout import TableLayout
from analysis.tables.table import Table
from analysis.tables.writer import WRITERS

OBJECTIVES = ("dpo", "sft", "dpo-shuffled")
LAYERS = {"small": 2, "large": 4}
Change = Callable[[dict[str, Any]], Mapping[str, Any]]


def study(seeds: Sequence[str] = ("0",), change: Change = lambda row: {}) -> list[dict[str, Any]]:
    """Rows of two models, three objectives and the base, on two conditions, at all layers."""
    rng = np.random.default_rng(5)
    prompts = rng.standard_normal((2, 20))
    rows = []
    for model, layers in LAYERS.items():
        for at, condition in enumerate(("plain", "rot13")):
            where = {"model": model, "num_layers": layers, "family": "gpt2"}
            where |= {"num_parameters": 1000 * layers, "condition": condition}
            base = prompts[at] + 0.1 * rng.standard_normal(20)
            rows.append(number("toxic_mass", base, where, key=f"before/{model}/{condition}"))
            for objective in OBJECTIVES:
                for seed in seeds:
                    own = where | {"objective": objective, "seed": seed}
                    key = f"{model}/{condition}/{objective}/{seed}"
                    values = base - 1 + 0.1 * rng.standard_normal(20)
                    rows.append(number("toxic_mass", values, own, key=f"behaviour/{key}"))
                    for layer in range(layers):
                        values = prompts[at] + layer + 0.1 * rng.standard_normal(20)
                        place = {"site": "resid_mid", "layer": layer, "depth": layer / (layers - 1)}
                        rows.append(number("drift", values, own | place, key=f"geometry/{key}"))
    return [row | dict(change(row)) for row in rows]


def number(metric: str, values: np.ndarray, where: Mapping[str, Any], key: str) -> dict[str, Any]:
    left_out = (values.sum() - values) / 19
    got = jackknife(float(values.mean()), left_out)
    ends = {"value": got.value, "low": got.low, "high": got.high, "num_groups": 20}
    kept = {"left_out": tuple(left_out.tolist()), "definition": "v1", "position": "last"}
    return {"metric": metric, "key": key, **where, **ends, **kept}


def table(
    rows: list[dict[str, Any]],
    *contrasts: str,
    declared: Sequence[str] = (),
    metrics: Sequence[str] = ("toxic_mass",),
    circumstances: Mapping[str, Circumstances] | None = None,
    **shown: Any,
) -> Table:
    return contrast_table(
        LongTable.of(to_rows(rows)).columns,
        contrasts=contrasts,
        declared=declared,
        layout=TableLayout(metrics=tuple(metrics)),
        selection=Selection(**shown),
        stages={row["key"]: (row["key"].split("/")[0],) for row in rows},
        circumstances=circumstances,
    )


def column(of: Table, name: str) -> list[float | None]:
    at = of.columns.index((name,))
    return [line[at].number.value for line in of.cells]


def level(of: Table, name: str) -> list[str]:
    return [row[of.row_levels.index(name)] for row in of.rows]


def adjusted(of: Table) -> dict[tuple[str, ...], float | None]:
    """Map what a row is of -> its adjusted p value."""
    names = ("metric", "contrast", "model", "condition", "place")
    keys = zip(*(level(of, name) for name in names if name in of.row_levels), strict=True)
    return dict(zip(keys, column(of, "adjusted p"), strict=True))


def test_a_difference_is_paired_over_prompts_and_much_surer_than_its_sides() -> None:
    rows = study()
    got = table(rows, "objective=dpo-sft")
    assert set(level(got, "pairing")) == {"paired"} and len(got.rows) == 4
    sides = [row for row in rows if row["metric"] == "toxic_mass"]
    for line in got.cells:
        half = (line[0].number.high or 0) - (line[0].number.value or 0)
        assert half < min(row["high"] - row["value"] for row in sides) / 2
    small = {r["objective"]: r for r in sides if r["model"] == "small" and r.get("objective")}
    expected = small["dpo"]["value"] - small["sft"]["value"]
    last = [row for row in got.rows if "small" in row and "rot13" in row]
    assert column(got, "difference")[got.rows.index(last[0])] == pytest.approx(expected)


def test_the_base_is_a_side_and_the_stage_is_that_of_the_other() -> None:
    got = table(study(), "objective=dpo-base")
    assert set(level(got, "stage")) == {"behaviour"} and len(got.rows) == 4
    assert all(-1.2 < (value or 0) < -0.8 for value in column(got, "difference"))
    assert set(column(got, "in family")) == {12.0}  # three objectives against the base, four cells


def with_an_axis_that_the_base_lacks(row: dict[str, Any]) -> Mapping[str, Any]:
    return {"beta": 0.1 if row.get("objective") else None}


@pytest.mark.parametrize("metric", ["toxic_mass", "drift"])
@pytest.mark.parametrize(("first", "second"), [("dpo", "base"), ("dpo", "sft")])
@pytest.mark.parametrize("declared", [(), ("objective=dpo-base", "objective=sft-dpo")])
@pytest.mark.parametrize("change", [lambda row: {}, with_an_axis_that_the_base_lacks])
def test_what_is_taken_from_what_changes_the_sign_and_nothing_else(
    metric: str, first: str, second: str, declared: Sequence[str], change: Change
) -> None:
    """An adjusted p that depended on it could be chosen."""
    there, back = (
        table(study(change=change), f"objective={sides}", declared=declared, metrics=[metric])
        for sides in (f"{first}-{second}", f"{second}-{first}")
    )
    for name in ("p", "adjusted p", "smallest visible", "in family"):
        assert column(there, name) == pytest.approx(column(back, name)), name
    differences = [column(each, "difference") for each in (there, back)]
    assert differences[0] == [-value for value in differences[1] if value is not None]
    contrast = there.row_levels.index("contrast")
    rest = [
        [row[:contrast] + row[contrast + 1 :] for row in each.row_values] for each in (there, back)
    ]
    assert rest[0] == rest[1] and bool(rest[0]) == (metric == "toxic_mass" or second == "sft")


def test_sides_that_two_stages_measured_have_one_stage_either_way() -> None:
    def apart(row: dict[str, Any]) -> Mapping[str, Any]:
        is_sft = row.get("objective") == "sft"
        return {"key": row["key"].replace("behaviour", "rates")} if is_sft else {}

    there, back = (
        table(study(change=apart), f"objective={sides}") for sides in ("dpo-sft", "sft-dpo")
    )
    assert {row[-2] for row in (*there.rows, *back.rows)} == {"behaviour"}
    assert column(there, "adjusted p") == pytest.approx(column(back, "adjusted p"))


def test_the_family_is_all_pairs_of_the_axis_unless_the_study_says_which() -> None:
    rows = study()
    got = table(rows, "objective=dpo-sft")
    assert set(column(got, "in family")) == {12.0}
    turned = table(rows, "objective=sft-dpo")
    assert column(turned, "adjusted p") == column(got, "adjusted p")
    said = table(rows, "objective=dpo-sft", declared=["objective=dpo-sft"])
    assert set(column(said, "in family")) == {4.0}
    assert column(said, "adjusted p") == pytest.approx(holm(np.array(column(said, "p"), float)))
    both = ["objective=dpo-sft", "condition=rot13-plain"]
    together = table(rows, *both, declared=both)
    assert set(column(together, "in family")) == {
        4.0 + 6.0,
        2.0,
    }  # those of the base are a stage apart


@pytest.mark.parametrize("declared", [(), ("objective=dpo-sft",)])
@pytest.mark.parametrize(
    "shown",
    [
        {"where": {"condition": ["plain"]}},
        {"where": {"model": ["small"], "condition": ["rot13"]}},
        {"site": "resid_mid"},
        {"position": "last", "where": {"objective": ["dpo"]}},
    ],
)
@pytest.mark.parametrize("metrics", [("toxic_mass", "drift"), ("drift",)])
def test_no_view_changes_an_adjusted_p_value(
    shown: dict[str, Any], declared: Sequence[str], metrics: Sequence[str]
) -> None:
    rows = study()
    whole = adjusted(
        table(rows, "objective=dpo-sft", declared=declared, metrics=("toxic_mass", "drift"))
    )
    part = adjusted(table(rows, "objective=dpo-sft", declared=declared, metrics=metrics, **shown))
    assert part and part.items() <= whole.items()


def test_other_contrasts_beside_it_change_nothing() -> None:
    rows = study()
    alone = adjusted(table(rows, "objective=dpo-sft"))
    more = table(rows, "objective=dpo-sft", "objective=dpo-dpo-shuffled", "model=large-small")
    beside = adjusted(more)
    assert all(beside[key] == value for key, value in alone.items())


def test_another_place_than_the_studys_is_one_of_all_places() -> None:
    rows = study()
    own = table(rows, "objective=dpo-sft", metrics=["drift"])
    assert set(column(own, "in family")) == {12.0}
    first = table(rows, "objective=dpo-sft", metrics=["drift"], depths=(0.0,))
    assert set(column(first, "in family")) == {3.0 * 2 * (2 + 4)}
    narrow = table(
        rows, "objective=dpo-sft", metrics=["drift"], depths=(0.0,), where={"model": ["large"]}
    )
    assert adjusted(narrow).items() <= adjusted(first).items()


def test_models_of_different_depth_are_compared_at_one_relative_depth() -> None:
    got = table(study(), "model=large-small", metrics=["drift"], where={"objective": ["dpo"]})
    assert len(got.rows) == 2 and "parameters" not in got.row_levels
    assert all(0.7 < (value or 0) < 1.3 for value in column(got, "difference"))  # layers 2 and 1
    early = table(study(), "model=large-small", metrics=["drift"], depths=(0.0,))
    assert set(column(early, "in family")) == {3.0 * 2 * 4}  # 0-0, 1-0, 2-1 and 3-1
    assert all(abs(value or 9) < 0.3 for value in column(early, "difference"))


def test_two_seeds_are_taken_seed_by_seed_and_have_an_error_of_their_own() -> None:
    def shift(row: dict[str, Any]) -> dict[str, Any]:
        by = 5.0 if row.get("seed") == "1" else 0.0  # what a seed does to both sides drops out
        kept = tuple(number + by for number in row["left_out"])
        return {name: row[name] + by for name in ("value", "low", "high")} | {"left_out": kept}

    one, two = table(study(), "objective=dpo-sft"), table(study("01", shift), "objective=dpo-sft")
    assert {line[0].number.num_seeds for line in two.cells} == {2}
    assert all(abs(value or 9) < 0.3 for value in column(two, "difference"))
    widths = [
        np.mean([(line[0].number.high or 0) - (line[0].number.low or 0) for line in of.cells])
        for of in (one, two)
    ]
    assert widths[1] > widths[0]
    of_seeds = table(study("01", shift), "seed=1-0")
    assert all(4.7 < (value or 0) < 5.3 for value in column(of_seeds, "difference"))


def test_seeds_that_differ_are_pooled_and_it_is_said() -> None:
    rows = [
        row for row in study("012") if not (row.get("objective") == "sft" and row["seed"] != "2")
    ]
    got = table(rows, "objective=dpo-sft")
    assert "seeds are not the same" in " ".join(got.footnotes.values())


def test_other_prompts_are_independent_and_it_is_said() -> None:
    rows = study()
    about = {row["key"]: Circumstances(source=row["condition"]) for row in rows}
    got = table(rows, "condition=rot13-plain", circumstances=about)
    assert set(level(got, "pairing")) == {"independent"}
    assert "different prompts" in " ".join(got.footnotes.values())
    same = {row["key"]: Circumstances(source="texts") for row in rows}
    assert set(level(table(rows, "condition=rot13-plain", circumstances=same), "pairing")) == {
        "paired"
    }
    pairs = {row["key"]: Circumstances(pairs=row["condition"]) for row in rows}
    assert set(level(table(rows, "condition=rot13-plain", circumstances=pairs), "pairing")) == {
        "independent"
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"left_out": None}, "not_run: sft was measured by an earlier version.*launch again"),
        ({"low": None, "high": None, "status": "too_few_groups", "reason": "3 groups"}, "3 groups"),
        ({"value": None, "status": "job_failed", "reason": "killed"}, "job_failed: sft: killed"),
        ({"status": "below_noise_floor", "reason": "it is 0"}, "below_noise_floor: sft: it is 0"),
    ],
)
def test_a_side_without_what_it_needs_leaves_a_dash_with_its_reason(
    change: dict[str, Any], reason: str
) -> None:
    got = table(
        study(change=lambda row: change if row.get("objective") == "sft" else {}),
        "objective=dpo-sft",
    )
    assert column(got, "difference") == [None] * 4
    (note,) = got.footnotes.values()
    assert re.search(reason, note)


def test_every_format_writes_it() -> None:
    got = table(study(), "objective=dpo-sft", metrics=("toxic_mass", "drift"))
    for writer in WRITERS.entries():
        assert writer.render(got)
    assert b"adjusted p" in WRITERS.find("csv").render(got)


def test_a_wrong_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no value of objective"):
        table(study(), "objective=dpo-stf")
    with pytest.raises(ValueError, match="no measurement has condition=latin"):
        table(study(), "objective=dpo-sft", where={"condition": ["latin"]})


def test_models_that_a_study_calls_otherwise_are_contrasted_by_its_own_axis():
    """A model without an axis `model` is named by family and size, which no axis may then split."""

    def renamed(row: dict[str, Any]) -> Mapping[str, Any]:
        return {"rung": row["model"], "model": f"gpt2-{row['num_parameters']}"}

    wanted = {"metrics": ("drift",), "site": "resid_mid", "position": "last"}
    plain = table(study(), "model=large-small", **wanted)
    assert plain.cells
    for contrast in ("rung=large-small", "model=gpt2-4000-gpt2-2000"):
        own = table(study(change=renamed), contrast, **wanted)
        assert own.row_levels == plain.row_levels
        assert [[cell.number.value for cell in row] for row in own.cells] == [
            [cell.number.value for cell in row] for row in plain.cells
        ]
    beside = table(study(change=renamed), "objective=dpo-sft")
    assert len(beside.cells) == 4 and {"model", "rung"} <= set(beside.row_levels)


def test_rows_of_several_contrasts_name_what_each_is_not_about():
    got = table(study(), "objective=dpo-sft", "condition=rot13-plain", "model=large-small")
    at = {name: got.row_levels.index(name) for name in ("contrast", "objective", "condition")}
    told = {tuple(side[place] for place in at.values()) for side in got.rows}
    assert len(set(got.rows)) == len(got.rows)
    assert {("dpo − sft", "", "plain"), ("dpo − sft", "", "rot13")} <= told
    assert {("rot13 − plain", "dpo", ""), ("large − small", "dpo", "rot13")} <= told


def test_a_row_of_the_base_is_named_as_in_other_tables() -> None:
    got = table(study(), "condition=plain-rot13")
    objective = got.row_levels.index("objective")
    assert {row[objective] for row in got.rows} == {"base", *OBJECTIVES}
    assert {row[objective] for row in got.row_values} == {None, *OBJECTIVES}


def with_values_of_beta(values: Sequence[float], objective: str = "dpo") -> list[dict[str, Any]]:
    """Rows of a study whose beta is of one objective alone, at every value."""
    rows = []
    for row in study():
        own = values if row.get("objective") == objective else [None]
        rows += [row | {"beta": beta, "key": f"{row['key']}/{beta}"} for beta in own]
    return rows


@pytest.mark.parametrize("contrast", ["objective=dpo-sft", "objective=sft-dpo"])
def test_a_side_without_an_axis_is_one_number_for_all_its_values(contrast: str) -> None:
    """The table was empty, without a word."""
    rows, plain = with_values_of_beta([0.1, 0.5]), table(study(), contrast)
    got = table(rows, contrast)
    assert sorted(level(got, "beta")) == ["0.1"] * 4 + ["0.5"] * 4 and len(plain.rows) == 4
    assert sorted(set(column(got, "difference"))) == sorted(column(plain, "difference"))
    assert set(column(got, "in family")) == {20.0}  # two pairs at two betas and one, four cells
    (note,) = got.footnotes.values()
    assert note == "sft has no beta: it is one number for all"


def test_a_side_without_an_axis_stays_with_the_number_that_has_none_either() -> None:
    """What DPO was on the way is not held against the end of SFT, where DPO's end is there."""
    rows = with_values_of_beta([0.1]) + [r for r in study() if r.get("objective") == "dpo"]
    got = table(rows, "objective=dpo-sft")
    assert len(got.rows) == 4 and not got.footnotes


@pytest.mark.parametrize(
    ("change", "contrast", "why"),
    [
        ({"definition": "v2"}, "objective=dpo-sft", "definition is v1 and v2"),
        ({"position": "response"}, "objective=dpo-sft", "nothing of sft is there"),
        ({"beta": 0.1}, "objective=dpo-dpo-shuffled", ""),
    ],
)
def test_a_contrast_of_which_no_cell_has_both_sides_says_why(
    change: dict[str, Any], contrast: str, why: str
) -> None:
    got = table(study(change=lambda row: change if row.get("objective") == "sft" else {}), contrast)
    assert bool(got.rows) == (not why)
    told = f"No cell has both sides of dpo \u2212 sft of toxic_mass: {why}."
    assert got.caption.endswith(told) == bool(why)


def test_a_metric_that_one_side_lacks_is_named() -> None:
    got = table(study(), "objective=dpo-base", metrics=("toxic_mass", "drift"))
    told = "No cell has both sides of dpo \u2212 base of drift: nothing of base is there."
    assert got.rows and got.caption.endswith(told)


def test_a_difference_from_the_base_has_the_seeds_of_the_other_side() -> None:
    for contrast in ("objective=dpo-base", "objective=base-dpo"):
        got = table(study("012"), contrast)
        assert {line[0].number.num_seeds for line in got.cells} == {3}
        assert not got.footnotes, "the base has no seeds that could differ"
        assert "joined in squares with the scatter over seeds" in got.caption
    assert "scatter over seeds" not in table(study(), "objective=dpo-base").caption


def test_one_number_of_one_job_is_not_held_against_itself() -> None:
    """Two studies share the jobs of their base: 0 \u00b1 its own error, in a family with them."""
    other = {"dpo": "sft", "sft": "dpo"}  # of the second study, so that its numbers are others
    rows = [
        row | {"study": name, "objective": (other if name == "b" else {}).get(of, of)}
        for name in ("a", "b")
        for row in study()
        if (of := row.get("objective")) != "dpo-shuffled"
    ]
    got = table(rows, "study=a-b")
    of_base = [name == "base" for name in level(got, "objective")]
    assert [value is None for value in column(got, "difference")] == of_base and any(of_base)
    (note,) = got.footnotes.values()
    assert note.startswith("undefined: both sides are one number of the same job")
    assert {size for size in column(got, "in family") if size is not None} == {8.0}
