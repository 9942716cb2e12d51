import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.long_table.columns import to_rows
from analysis.long_table.depth import align, depth_of, layer_at


@pytest.mark.parametrize(
    ("fraction", "num_layers", "layer"),
    [(0.0, 4, 0), (1.0, 4, 3), (0.5, 2, 1), (0.5, 4, 2), (0.75, 3, 2), (0.29, 51, 15), (0.5, 1, 0)],
)
def test_halves_go_to_the_deeper_layer(fraction, num_layers, layer):
    """Lesson 55: relative depth must be one rule."""
    assert layer_at(fraction, num_layers) == layer


@given(st.integers(1, 200), st.data())
def test_the_depth_of_a_layer_leads_back_to_it(num_layers, data):
    layer = data.draw(st.integers(0, num_layers - 1))
    assert layer_at(depth_of(layer, num_layers), num_layers) == layer


def test_a_depth_outside_the_model_is_refused():
    with pytest.raises(ValueError, match=r"depth 1\.5 is not between 0 and 1"):
        layer_at(1.5, 4)


def test_models_of_different_depth_are_aligned_on_fractions():
    rows = to_rows(
        [
            {"model": name, "num_layers": depth, "metric": "offset_norm", "layer": layer}
            for name, depth in (("small", 2), ("large", 6))
            for layer in range(depth)
        ]
        + [{"model": "small", "num_layers": 2, "metric": "toxic_mass"}]
    )
    found = [(row["model"], row["layer"], row["depth"]) for row in align(rows, [0.5, 0.75, 1.0])]
    assert found == [
        ("small", 1, 0.5),
        ("small", 1, 0.75),
        ("small", 1, 1.0),
        ("large", 3, 0.5),
        ("large", 4, 0.75),
        ("large", 5, 1.0),
    ]
