"""A view looks where something was measured, and says so where that is not what was asked for."""

import pytest

from analysis.long_table.columns import to_rows, to_table
from analysis.long_table.query import LongTable
from analysis.long_table.selection import Selection, describe, resolve, select
from analysis.tables.comparison_table import compare


def measured(*layers_of_models):
    """Rows of one metric: (layers of the model, layers that were measured) for each model."""
    return to_rows(
        [
            {
                "model": f"m{num_layers}",
                "family": "gpt2",
                "num_parameters": 1000 * num_layers,
                "num_layers": num_layers,
                "metric": "offset_norm",
                "layer": layer,
                "value": 1.0 + layer,
                "site": "resid_mid",
                "position": "last",
                "status": "ok",
            }
            for num_layers, layers in layers_of_models
            for layer in layers
        ]
    )


@pytest.mark.parametrize(
    ("models", "depths"),
    [
        (((4, [0, 1, 2, 3]), (12, range(12))), (0.75,)),  # every layer
        (((5, [2]), (13, [6])), (0.5,)),  # `depths: [0.5]`
        (((12, [6, 11]), (24, [12, 23])), (1.0,)),  # `depths: [0.5, 1.0]`
        (((12, [8]), (24, [3])), (0.75,)),  # one model has what was asked for
    ],
)
def test_where_nothing_was_measured_at_a_depth_the_nearest_is_shown_and_told(models, depths):
    rows = measured(*models)
    chosen = resolve(Selection(), rows)
    shown = {row["depth"] for row in select(rows, chosen)}
    assert len(chosen.depths) == 1 and shown == set(chosen.depths)
    if depths == (0.75,):
        assert chosen.depths == depths and not chosen.depths_asked
        assert "nothing was measured" not in describe(chosen)
    else:
        assert chosen.depths_asked == (0.75,)
        assert "nothing was measured at 0.75" in describe(chosen)
        assert {row["num_layers"] for row in select(rows, chosen)} == {n for n, _ in models}
    assert LongTable(columns=to_table(rows, [], {})).resolved(Selection()) == chosen


def test_a_table_of_a_study_of_two_depths_shows_numbers_and_says_where():
    table = compare(to_table(measured((12, [6, 11]), (24, [12, 23])), [], {}), title="t")
    text = str(table)
    assert "nothing was measured at 0.75" in text
