import io
import json
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.long_table.columns import FIXED, axis_column, axis_columns, schema, to_rows, to_table
from analysis.long_table.files import from_parquet, to_csv, to_pandas, to_parquet
from analysis.measurement import label_of, left_out_of

AXES = ["model", "objective", "seed", "condition"]


def measured(**over):
    row = {
        "model": "gpt2-110k",
        "family": "gpt2",
        "num_parameters": 110_336,
        "num_layers": 4,
        "objective": "dpo",
        "seed": 0,
        "condition": "plain",
        "metric": "offset_norm",
        "site": "resid_mid",
        "layer": 2,
        "depth": 2 / 3,
        "position": "last",
        "centred": False,
        "value": 0.1,
        "low": 0.05,
        "high": 0.15,
        "key": "abc",
    }
    return row | over


def read_csv(table):
    """What any reader of CSV makes of it."""
    at = table.column_names.index("left_out")
    read = pa.csv.read_csv(
        io.BytesIO(to_csv(table)),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=table.schema.set(at, pa.field("left_out", pa.string())),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    lists = [entry and json.loads(entry) for entry in read["left_out"].to_pylist()]
    return read.set_column(at, table.schema.field(at), pa.array(lists, pa.list_(pa.float64())))


def test_columns_are_the_axes_and_then_the_schema_of_the_design():
    table = to_table([measured()], AXES)
    assert " ".join(table.column_names) == (
        "objective seed condition model family num_parameters num_parameters_non_embedding d_model"
        " num_layers metric definition compared_by site layer depth position centred value low high"
        " floor null_low null_high base_null_low base_null_high num_rows num_groups coverage"
        " uncounted num_seeds status reason key left_out"
    )
    assert table.schema == schema(AXES, {"seed": pa.int64()})


def test_an_axis_named_as_a_fixed_column_does_not_shadow_it():
    assert axis_column("layer") == "axis_layer"
    assert axis_columns(["model", "layer", "beta"]) == ["axis_layer", "beta"]


def test_the_order_of_the_rows_given_does_not_change_a_byte():
    rows = [
        measured(model=model, seed=seed, layer=layer, centred=centred, metric=metric)
        for model in ("a", "b")
        for seed in range(3)
        for layer in (None, 0, 2, 10)
        for centred in (None, True, False)
        for metric in ("x", "y")
    ]
    shuffled = random.Random(0).sample(rows, len(rows))
    one, two = to_table(rows, AXES), to_table(shuffled, AXES)
    assert to_csv(one) == to_csv(two)
    assert to_parquet(one) == to_parquet(two)


def test_layers_sort_as_numbers():
    table = to_table([measured(layer=layer) for layer in (10, 2, None)], AXES)
    assert table["layer"].to_pylist() == [None, 2, 10]


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.booleans(),
            st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\r\0")),
            st.none()
            | st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1),
        ),
        max_size=8,
    )
)
def test_csv_and_parquet_give_back_exactly_what_they_were_given(entries):
    rows = [
        measured(value=value, low=low, centred=centred, condition=text, left_out=left_out)
        for value, low, centred, text, left_out in entries
    ]
    table = to_table(rows, AXES)
    assert read_csv(table).equals(table)
    assert from_parquet(to_parquet(table)).equals(table)


def test_a_true_zero_is_printed_and_a_missing_value_is_empty():
    rows = [
        measured(value=0.0, low=-0.0, high=0),
        measured(seed=1, value=None, low=None, high=None, status="job_failed", reason="killed"),
    ]
    lines = to_csv(to_table(rows, AXES)).decode().splitlines()
    assert ",false,0,0,0,," in lines[1]
    assert ",false,,,,," in lines[2] and lines[2].endswith(",job_failed,killed,abc,")


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"value": None}, "a missing value needs a status"),
        ({"value": float("nan")}, "a missing value needs a status"),
        ({"value": None, "status": "job_failed"}, "a missing value needs a status .* and a reason"),
        ({"value": None, "status": "ok", "reason": "?"}, "a missing value needs a status"),
        ({"status": "fine"}, "status 'fine' .* is not one of ok, "),
        ({"value": float("inf")}, "value is infinite at .*metric=offset_norm"),
        ({"metrics": 1}, "no column 'metrics'; the nearest is 'metric'"),
    ],
)
def test_a_row_that_hides_something_is_refused(over, message):
    with pytest.raises(ValueError, match=message):
        to_table([measured(**over)], AXES)


def test_pandas_keeps_counts_whole_and_missing_missing():
    rows = [measured(), measured(seed=1, layer=None, centred=None, value=0)]
    frame = to_pandas(to_table(rows, AXES))
    assert str(frame["layer"].dtype) == "Int64"
    assert frame["layer"].isna().tolist() == [False, True]
    assert frame["value"].tolist() == [0.1, 0.0]


def test_rows_read_the_same_from_a_table_a_frame_and_dicts():
    left_out = (0.1, None, *[0.2] * 18)
    rows = [measured(left_out=left_out), measured(seed=1, layer=None, centred=None, value=0)]
    table = to_table(rows, AXES)
    assert to_rows(table) == to_rows(to_pandas(table)) == to_rows(table.to_pylist())
    assert [left_out_of(row) for row in to_rows(table)] == [left_out, None]
    frame = to_pandas(table)
    assert np.stack(frame["left_out"].dropna()).shape == (1, 20)  # as the documentation says
    as_csv = pd.read_csv(io.BytesIO(to_csv(table)), converters={"left_out": lambda t: t or None})
    assert left_out_of(to_rows(as_csv)[0]) == left_out
    assert set(FIXED.names) <= set(to_rows(rows)[0])


def test_an_empty_study_still_has_its_columns():
    table = to_table([], AXES)
    assert read_csv(table).equals(table)
    assert from_parquet(to_parquet(table)).equals(table)


@pytest.mark.parametrize(
    ("seeds", "kind"),
    [
        ([0, 10, 2, None], pa.int64()),
        ([0, 0.5, None], pa.float64()),
        ([True, False], pa.bool_()),
        ([0, "none"], pa.string()),
        (["0", "1"], pa.string()),
        ([True, 1], pa.string()),
        ([None], pa.string()),
    ],
)
def test_an_axis_of_numbers_is_a_column_of_numbers_in_their_order(seeds, kind):
    column = to_table([measured(seed=seed) for seed in seeds], AXES)["seed"]
    assert column.type == kind
    known = [seed for seed in column.to_pylist() if seed is not None]
    assert known == sorted(known) and len(column) == len(seeds)


def test_equal_numbers_have_one_label():
    assert [label_of(value) for value in (1, 1.0, 0.5, 1e-6, True, "a", 1e300)] == [
        *("1", "1", "0.5", "1e-06", "true", "a", "1e+300")
    ]
