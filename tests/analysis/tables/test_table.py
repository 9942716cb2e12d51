import pytest

from analysis.long_table.columns import to_table
from analysis.long_table.files import to_pandas
from analysis.long_table.selection import Selection
from analysis.tables.comparison_table import compare
from analysis.tables.layout import TableLayout
from analysis.tables.scaling_table import scaling_table

ORDER = TableLayout(order={"condition": ["plain", "rot13", "base64"]})


def cell(table, model, *header):
    row = next(i for i, side in enumerate(table.rows) if model in side)
    return table.cells[row][table.columns.index(header)]


def tiny(**over):
    row = {"model": "m", "family": "gpt2", "num_parameters": 100_000, "metric": "toxic_mass"}
    return row | {"objective": "dpo", "condition": "plain", "seed": 0, "value": 0.5} | over


def test_models_go_down_by_family_and_counted_size(study):
    table = compare(study)
    assert table.row_levels == ("family", "model", "parameters")
    assert [side[1:] for side in table.rows] == [
        ("gpt2-33k", "0.033 M"),
        ("gpt2-110k", "0.11 M"),
        ("gpt2-240k", "0.24 M"),
        ("gpt2-620k", "0.62 M"),
        ("llama-55k", "0.055 M"),
        ("llama-130k", "0.13 M"),
    ]


def test_objectives_stand_side_by_side_with_the_unaligned_model_for_behaviour_only(study):
    table = compare(study, layout=ORDER)
    assert table.column_levels == ("metric", "condition", "objective")
    behaviour = [header[1:] for header in table.columns if header[0] == "toxic_mass"]
    assert behaviour[:4] == [
        ("plain", "base"),
        ("plain", "dpo"),
        ("plain", "sft"),
        ("rot13", "base"),
    ]
    assert [h[1:] for h in table.columns if h[0] == "offset_norm"] == [
        (condition, objective)
        for condition in ("plain", "rot13", "base64")
        for objective in ("dpo", "sft")
    ]


def test_both_centrings_are_columns_and_only_where_a_metric_has_both(study):
    names = list(dict.fromkeys(header[0] for header in compare(study).columns))
    assert names[0] == "toxic_mass"
    assert names[-3:] == [
        "participation_ratio, uncentred",
        "participation_ratio, centred",
        "captured_energy",
    ]


def test_models_of_different_depth_are_compared_at_the_same_relative_depth(study):
    table = compare(study)
    for model, layer in (("gpt2-33k", 1), ("gpt2-620k", 4), ("llama-55k", 1)):
        shown = cell(table, model, "offset_norm", "plain", "dpo").number.value
        (known,) = [
            row["value"]
            for row in study
            if (row["model"], row.get("layer"), row["metric"]) == (model, layer, "offset_norm")
            and (row["condition"], row.get("objective")) == ("plain", "dpo")
        ]
        assert shown == known
    assert "relative depth 0.75 (layer floor(depth × (L - 1) + 1/2) of L)" in table.caption


def test_seeds_are_averaged_and_counted_and_traced_to_their_jobs(study):
    seeds = cell(compare(study), "gpt2-110k", "toxic_mass", "plain", "dpo")
    values = [
        row["value"]
        for row in study
        if (row["model"], row["metric"]) == ("gpt2-110k", "toxic_mass")
        and (row["condition"], row.get("objective")) == ("plain", "dpo")
    ]
    assert len(values) == seeds.number.num_seeds == len(seeds.number.keys) == 2
    assert seeds.number.value == pytest.approx(sum(values) / 2) and seeds.text.endswith(" (2)")


def test_what_is_missing_says_why_and_is_never_a_number(study):
    table = compare(study)
    failed = cell(table, "llama-130k", "offset_norm", "plain", "dpo")
    assert (failed.number.value, failed.text, failed.number.status) == (None, "—", "job_failed")
    assert table.footnotes[failed.mark].startswith("job_failed: align failed 3 times")
    quiet = cell(table, "gpt2-33k", "consistency", "base64", "dpo")
    assert quiet.text == "—" and quiet.number.status == "below_noise_floor" and quiet.mark
    assert all(c.mark for line in table.cells for c in line if c.text == "—")


def test_a_combination_nobody_ran_is_not_run_and_one_at_another_depth_says_so():
    place = {"metric": "offset_norm", "site": "resid_mid", "position": "last", "num_layers": 5}
    rows = [
        tiny(),
        tiny(objective="sft", condition="rot13"),
        tiny(condition="rot13", model="n"),
        tiny(**place, layer=3),
        tiny(**place, layer=0, objective="sft"),
        tiny(**place, layer=3, objective="sft", model="n"),
    ]
    table = compare(rows)
    never = cell(table, "m", "toxic_mass", "dpo", "rot13")
    assert (never.number.status, never.number.reason) == (
        "not_run",
        "no job of the study measured this",
    )
    assert ("toxic_mass", "sft", "plain") not in table.columns  # of neither model
    assert table.caption.endswith("1 column that no job measures is left out.")
    shallow = cell(table, "m", "offset_norm", "sft", "plain")
    assert shallow.number.status == "measured_elsewhere"
    assert shallow.number.reason.startswith("not at site resid_mid; relative depth 0.75")


def test_zero_is_shown_as_zero():
    """Lesson 52: zero is a value."""
    (line,) = compare([tiny(value=0.0)]).cells
    assert (line[0].text, line[0].number.value, line[0].mark) == ("0", 0.0, "")


def test_a_value_without_enough_groups_is_shown_with_its_reason():
    (line,) = compare([tiny(status="too_few_groups", reason="3 groups")]).cells
    assert line[0].text == "0.500" and line[0].mark == "a"


def test_axes_may_have_any_name():
    rows = [
        {"model": "m", "metric": "x", "beta": beta, "restart": r, "value": float(r), "status": "ok"}
        for beta in (1.0, 0.1, 10.0)
        for r in (1, 2)
    ]
    table = compare(rows, layout=TableLayout(seeds="restart"))
    assert table.columns == (("x", "0.1"), ("x", "1"), ("x", "10"))
    assert table.cells[0][0].number.value == 1.5 and "restarts" in table.caption
    turned = compare(rows, layout=TableLayout(rows=("beta",), seeds="restart"))
    assert turned.rows == (("0.1",), ("1",), ("10",)) and turned.columns == (("x",),)


def test_positions_and_axis_values_with_numbers_in_them_stand_in_their_order():
    outputs = [f"output-{number}" for number in (1, 10, 2)]
    rows = [tiny(metric="token_kl", position=each) for each in outputs]
    table = compare([tiny(position="last"), *rows])
    shown = [level for column in table.columns for level in column if "output" in level]
    assert [label.split("-")[1] for label in shown] == ["1", "2", "10"]
    layers = [tiny(reading=each) for each in ("depth 0.5", "depth 0.25", "depth 1")]
    found = [column[-1] for column in compare(layers).columns]
    assert found == ["depth 0.25", "depth 0.5", "depth 1"]


def test_an_axis_that_goes_with_the_row_is_told_beside_it():
    rows = [tiny(width="64"), tiny(model="n", num_parameters=200_000, width="128")]
    table = compare(rows)
    assert table.row_levels == ("family", "model", "parameters", "width")
    assert table.rows[0] == ("gpt2", "m", "0.10 M", "64")


def test_where_keeps_numbers_that_do_not_depend_on_the_axis():
    rows = [tiny(), tiny(condition="rot13"), tiny(metric="perplexity", condition=None, value=9.0)]
    table = compare(rows, selection=Selection(where={"condition": ["plain"]}))
    assert table.columns == (("perplexity",), ("toxic_mass",))


@pytest.mark.parametrize(
    ("layout", "selection", "message"),
    [
        (TableLayout(metrics=("toxic_mas",)), Selection(), "did you mean 'toxic_mass'"),
        (TableLayout(rows=("modle",)), Selection(), "no axis 'modle'.*did you mean 'model'"),
        (TableLayout(), Selection(where={"objectiv": ["dpo"]}), "did you mean 'objective'"),
        (
            TableLayout(),
            Selection(where={"objective": ["ppo"]}),
            "objective=ppo; there is dpo, sft",
        ),
        (TableLayout(), Selection(where={"condition": ["rot14"]}), "did you mean 'rot13'"),
        (TableLayout(columns=("condition",)), Selection(), "several numbers fall .* differ in obj"),
    ],
)
def test_a_wrong_name_says_what_exists(study, layout, selection, message):
    with pytest.raises(ValueError, match=message):
        compare(study, layout=layout, selection=selection)


def test_a_table_a_frame_and_rows_give_the_same_comparison(study):
    long = to_table(study, ["model", "condition", "objective", "seed"])
    assert compare(long) == compare(to_pandas(long)) == compare(long.to_pylist())


def test_a_scaling_law_is_told_per_family_and_refused_for_two_sizes(study):
    table = scaling_table(study, layout=ORDER)
    assert table.row_levels == ("metric", "condition", "objective", "family")
    lines = dict(zip(table.rows, table.cells, strict=True))
    gpt2 = lines["offset_norm", "plain", "sft", "gpt2"]
    assert gpt2[0].number.low < 0.35 < gpt2[0].number.high and gpt2[3].number.value == 4
    assert table.footnotes[gpt2[0].mark].startswith("descriptive")
    refused = lines["offset_norm", "plain", "sft", "llama"][0]
    assert refused.text == "—"
    assert table.footnotes[refused.mark] == "too_few_sizes: 2 sizes, at least 4 are needed"
    assert ("offset_norm", "plain", "sft", "mixed") in lines
    assert "errors that sizes share are not in the interval" in table.footnotes[gpt2[0].mark]
    assert table.caption.endswith("delete such artifacts and launch again.")


def test_a_scaling_table_of_values_kept_without_each_group_lacks_nothing_and_tells_disagreement():
    widths = {1e5: 64, 3e5: 512, 1e6: 32, 3e6: 256, 1e7: 128}
    rows = [
        {"metric": "consistency", "model": f"m{size:g}", "family": "gpt2", "value": size**-0.1}
        | {"num_parameters": int(size), "num_parameters_non_embedding": int(size) - 50_000}
        | {"d_model": width, "left_out": [size**-0.1 * (1 + 0.01 * (g % 3)) for g in range(20)]}
        for size, width in widths.items()
    ]
    table = scaling_table(rows)
    notes = [table.footnotes[cell.mark] for cell in table.cells[0][::4]]
    assert len(set(notes)) == 1 and "not known without" not in notes[0]
    assert (
        "0 is excluded over parameters and parameters without embeddings, not over width; the line "
        "over parameters fits best (scatter "
    ) in notes[0]
    assert "delete" not in table.caption


@pytest.mark.parametrize("layout", [{"rows": ("model", "seed")}, {"columns": ("seed",)}])
def test_where_seeds_tell_cells_apart_each_has_its_own_number(layout):
    rows = [tiny(seed=seed, value=0.1 * (seed + 1)) for seed in (0, 1)]
    table = compare(rows, layout=TableLayout(**layout))
    numbers = [cell.number for line in table.cells for cell in line]
    assert [number.value for number in numbers] == [0.1, 0.2]
    assert all((number.num_seeds or 1) == 1 for number in numbers)
    headers = table.rows if "rows" in layout else table.columns
    assert [header[-1] for header in headers] == ["0", "1"]


def test_exponents_over_seeds_are_fitted_seed_by_seed():
    rows = [
        tiny(seed=seed, value=size ** (0.5 + seed), model=f"m{size}", num_parameters=size)
        for seed in (0, 1)
        for size in (10, 100, 1_000, 10_000)
    ]
    table = scaling_table(rows, layout=TableLayout(columns=("seed",)))
    assert [round(line[0].number.value, 3) for line in table.cells] == [0.5, 1.5]


@pytest.mark.parametrize("down", [("model",), ("model", "objective"), ("objective", "rung")])
def test_what_stands_down_the_side_is_in_no_common_fit(down):
    """An axis that only names the models has no fits of its own."""
    rows = [
        tiny(
            objective=who, value=size**power, model=f"m{size}", num_parameters=size, rung=f"r{size}"
        )
        for who, power in (("dpo", 0.5), ("sft", -0.5))
        for size in (10, 100, 1_000, 10_000)
    ]
    table = scaling_table(rows, layout=TableLayout(rows=down))
    found = {
        row[1:]: round(line[0].number.value, 3)
        for row, line in zip(table.rows, table.cells, strict=True)
    }
    assert found == {("dpo", "gpt2"): 0.5, ("sft", "gpt2"): -0.5}


@pytest.mark.parametrize(
    ("written", "kept"), [("0.10", 0.1), ("1e-1", 0.1), ("1", 1.0), ("1.0", 1.0)]
)
def test_numbers_are_compared_as_numbers(written, kept):
    rows = [tiny(beta=beta, value=beta) for beta in (0.1, 1.0)]
    (line,) = compare(rows, selection=Selection(where={"beta": [written]})).cells
    assert [cell.number.value for cell in line] == [kept]


def test_text_that_reads_like_a_number_is_compared_as_text():
    rows = [tiny(code=code) for code in ("007", "7")]
    (line,) = compare(rows, selection=Selection(where={"code": ["7"]})).cells
    assert len(line) == 1
    with pytest.raises(ValueError, match="there is 007, 7"):
        compare(rows, selection=Selection(where={"code": ["7.0"]}))


def test_a_wrong_column_is_told_the_nearest_and_where_all_are():
    with pytest.raises(ValueError, match="no column 'sede'; did you mean 'seed'") as caught:
        compare([tiny()], selection=Selection(where={"sede": ["0"]}))
    assert "axes: model, objective, condition, seed; --long prints all" in str(caught.value)
    assert "null_low" not in str(caught.value)
