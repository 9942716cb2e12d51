import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.tables.rounding import (
    format_beside,
    format_count,
    format_ends,
    format_number,
    format_value,
    last_place,
)


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.43217, 0.40117, 0.46317, "0.432 ± 0.031"),
        (0.43217, 0.33257, 0.53177, "0.43 ± 0.10"),  # 0.0996 carries to 0.10: two digits, not three
        (0.0, -0.012, 0.012, "0.000 ± 0.012"),
        (1234.5, 1000.0, 1469.0, "1230 ± 230"),
        (0.2, 0.19, 0.30, "0.200 [0.190, 0.300]"),
        (1.0, -0.02, 1.85, "1.00 [-0.02, 1.85]"),  # 1.00 ± 0.94 would exclude 0
        (1.0, 0.02, 2.15, "1.0 [0.0, 2.2]"),  # 1.0 ± 1.1 would not
        (-1.0, -1.85, 0.02, "-1.00 [-1.85, 0.02]"),
        (0.05, 0.0, 0.105, "0.050 [0.000, 0.105]"),  # a probability is never below 0
        (0.05, 0.0, 0.1, "0.050 ± 0.050"),
        (1.234e-7, 1.0e-7, 1.468e-7, "(1.23 ± 0.23)e-07"),
        (0.5, None, None, "0.500"),
        (0.5, 0.5, 0.5, "0.500"),
        (0.9999999999999998, 0.9999999999999983, 1.0, "1.00"),
        (0.0, None, None, "0"),
        (12.0, None, None, "12"),
        (12345678.0, None, None, "1.23e+07"),
    ],
)
def test_the_interval_decides_the_digits(value, low, high, text):
    assert format_value(value, low, high) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.98765, 0.987612, 0.987688, "0.987650 [0.987612, 0.987688]"),
        (0.5, -3.04, 4.0, "0.5 [-3.0, 4.0]"),
        (0.004, -0.0011, 0.0091, "0.0040 [-0.0011, 0.0091]"),
        (1230.4, 1000.2, 1469.0, "1230 [1000, 1470]"),
        (1.0, 1.0, 1.0, "1 [1, 1]"),
        (0.8333333, 0.8333333, 0.8333333, "0.833 [0.833, 0.833]"),
        (1.234e-7, 1.0e-7, 1.468e-7, "1.23e-07 [1.00e-07, 1.47e-07]"),
    ],
)
def test_an_interval_written_by_its_ends_has_the_digits_that_it_supports(value, low, high, text):
    assert format_ends(value, low, high) == text


def test_what_a_value_is_held_against_is_written_as_finely():
    """0.98765 lies above a band that ends at 0.98761, and not above one that ends at 0.988."""
    assert format_beside(0.98761, 0.987641, 0.987688) == "0.987610"
    assert format_beside(0.25, 0.9, 0.99) == "0.250"
    assert format_beside(2.5e-8, 0.9, 0.99) == "2.50e-08"
    assert format_beside(0.0, 0.9, 0.99) == "0"
    assert format_beside(0.25, None, None) == "0.250"


def test_zero_is_written_as_zero_and_never_negative():
    assert format_number(0.0) == format_number(-0.0) == "0"
    assert format_value(-0.001, -0.301, 0.299) == "0.00 ± 0.30"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (110_336, "0.11 M"),
        (33_000, "0.033 M"),
        (354_823_168, "355 M"),
        (1_557_611_200, "1.56 B"),
        (999_900_000, "1.00 B"),
        (7_241_732_096, "7.24 B"),
    ],
)
def test_counts_are_written_in_millions_and_billions(count, text):
    assert format_count(count) == text


@given(st.floats(1e-3, 1e5), st.floats(1e-3, 1e3))
def test_what_is_shown_is_within_half_a_last_digit(value, half):
    low, high = value - half, value + half
    shown, width = format_value(value, low, high).split(" ± ")
    place = 10.0 ** last_place((high - low) / 2, 2)
    assert abs(float(shown) - value) <= place / 2 * (1 + 1e-6)
    assert abs(float(width) - half) <= place / 2 * (1 + 1e-6) + 1e-10
    assert len(width.lstrip("0.").replace(".", "")) >= 2
