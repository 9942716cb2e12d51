from hypothesis import given
from hypothesis import strategies as st

from jobs.store.size_bound import bound_store_bytes

USUAL = {
    "num_rows": {"last": 1000, "response": 50_000},
    "num_units": 20,
    "widths": [64] * 4,
    "dense": {"response"},
    "rowwise": {"last"},
    "num_reservoir": 100,
    "row_bytes": 4,
}


def test_moments_of_a_wide_model_are_d_times_d_in_float64_per_unit_place_and_position():
    wide = {**USUAL, "widths": [4096] * 24}
    without = bound_store_bytes(**{**wide, "dense": set()})
    assert bound_store_bytes(**wide) - without == 20 * 24 * 4096 * 4096 * 8


def test_all_rows_of_one_position_and_the_reservoir_of_the_others_are_counted():
    rows = bound_store_bytes(**USUAL) - bound_store_bytes(**{**USUAL, "row_bytes": 0})
    assert rows == 4 * 64 * 4 * (1000 + 100)


def test_the_base_is_counted_in_float32_at_the_reservoir_however_rows_are_stored():
    for row_bytes in (2, 4):
        of = {**USUAL, "row_bytes": row_bytes}
        more = bound_store_bytes(**{**of, "num_reservoir": 101}) - bound_store_bytes(**of)
        row = 9 + 4 * 64 * row_bytes  # of response: all rows of last are stored anyway
        assert more == row + 2 * 4 * 64 * 4


@given(split=st.integers(0, 4))
def test_it_adds_up_over_places(split):
    parts = [USUAL["widths"][:split], USUAL["widths"][split:]]
    empty = bound_store_bytes(**{**USUAL, "widths": []})
    total = sum(bound_store_bytes(**{**USUAL, "widths": part}) - empty for part in parts)
    assert total == bound_store_bytes(**USUAL) - empty


@given(
    units=st.integers(1, 50),
    more=st.integers(0, 50),
    rows=st.integers(0, 10**6),
    d=st.integers(1, 99),
)
def test_more_units_or_rows_never_take_less(units, more, rows, d):
    def of(num_units, num_rows):
        one = {"num_units": num_units, "num_rows": {"last": num_rows}, "widths": [d]}
        return bound_store_bytes(**{**USUAL, **one})

    assert of(units, rows) <= of(units + more, rows) <= of(units + more, rows + more)
