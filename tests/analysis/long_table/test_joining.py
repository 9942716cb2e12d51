"""Many tables as one: the order of `to_table`, whatever came first."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.long_table.columns import to_table
from analysis.long_table.joining import canonical, conformed, joined
from analysis.measurement import label_of

AXES = ["objective", "dose"]
NAMES = st.sampled_from(["a", "b", "é", None])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "model": NAMES,
            "objective": NAMES,
            "dose": st.sampled_from(["0", "2", "10", None]),
            "metric": st.sampled_from(["cka", "toxic_mass"]),
            "layer": st.sampled_from([0, 1, 10, None]),
            "depth": st.sampled_from([0.0, 0.5, None]),
            "centred": st.sampled_from([True, False, None]),
            "num_parameters": st.sampled_from([10, 2**40, None]),
            "value": st.just(1.0),
        }
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 12))
def test_parts_joined_are_the_canonical_table(rows, cut):
    keyed = [row | {"key": f"k{number}"} for number, row in enumerate(rows)]
    parts = [to_table(part, AXES) for part in (keyed[:cut], keyed[cut:])]
    whole = to_table(keyed, AXES)
    assert canonical(joined(parts, AXES), AXES).equals(whole)
    assert canonical(joined(parts[::-1], AXES), AXES).equals(whole)


def test_a_jobs_own_axis_goes_before_what_its_cell_says():
    own = to_table([{"metric": "x", "value": 1.0, "dose": "2"}], ["dose"])
    (row,) = conformed(own, AXES, {"objective": "dpo", "dose": "1", "model": "m"}).to_pylist()
    assert (row["dose"], row["objective"], row["model"]) == ("2", "dpo", "m")


def test_nothing_gathered_is_the_empty_table():
    assert joined([], AXES).equals(pa.Table.from_pylist([], to_table([], AXES).schema))


@pytest.mark.parametrize("value", [1, True, 0.5, 2**70])
def test_a_value_stands_in_a_column_of_text_by_its_label(value):
    own = to_table([{"metric": "x", "value": 1.0}], [])
    (row,) = conformed(own, AXES, {"objective": value, "model": "m"}).to_pylist()
    assert row["objective"] == label_of(value)


def test_no_end_of_an_interval_or_band_is_beyond_what_the_value_can_be():
    """Of a memorised text mean nats are near 0, and an interval about them may reach below."""
    beyond = {"low": 0.99, "high": 1.05, "null_low": 0.2, "null_high": 9.0}
    rows = [
        {"metric": "perplexity", "value": 1.02, **beyond},
        {"metric": "toxic_mass", "value": 0.98, "low": 0.9, "high": 1.04},
        {"metric": "reward_margin", "value": -3.0, "low": -4.0, "high": -2.0},
        {"metric": "a_study's_own", "value": -3.0, "low": -4.0},
    ]
    found = {
        row["metric"]: tuple(
            row[name] for name in ("value", "low", "high", "null_low", "null_high")
        )
        for row in conformed(to_table(rows, []), [], {}).to_pylist()
    }
    assert found == {
        "perplexity": (1.02, 1.0, 1.05, 1.0, 9.0),
        "toxic_mass": (0.98, 0.9, 1.0, None, None),
        "reward_margin": (-3.0, -4.0, -2.0, None, None),
        "a_study's_own": (-3.0, -4.0, None, None, None),
    }
