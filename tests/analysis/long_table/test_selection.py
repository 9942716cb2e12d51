"""A view looks where something was measured, and says so where that is not what was asked for."""

import random

import pytest

from analysis.long_table.columns import to_rows, to_table
from analysis.long_table.depth import layer_at
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


def moved(rows, **place):
    return [row | place for row in rows]


def test_a_depth_that_one_model_lacks_gives_way_to_the_nearest_that_all_have():
    rows = measured((12, [3, 6, 8, 11]), (24, [6, 12, 16, 23]))  # `depths: [0.25, 0.5, 0.7, 1.0]`
    chosen = resolve(Selection(), rows)
    assert [(row["num_layers"], row["layer"]) for row in select(rows, chosen)] == [
        (12, 8),
        (24, 16),
    ]
    assert "0.75 was not measured in m24" in describe(chosen)
    assert LongTable(columns=to_table(rows, [], {})).resolved(Selection()) == chosen


def test_models_are_shown_at_one_depth_wherever_there_is_one_that_all_have():
    """Layers drawn by chance; a fine grid of depths tells whether all have one."""
    draw = random.Random(0)
    for _ in range(300):
        models = [
            (total, sorted(draw.sample(range(total), draw.randint(1, min(3, total)))))
            for total in draw.sample(range(2, 20), 2)
        ]
        rows = measured(*models)
        shown = select(rows, resolve(Selection(), rows))
        is_shared = any(
            all(layer_at(at / 2000, total) in layers for total, layers in models)
            for at in range(2001)
        )
        assert {row["num_layers"] for row in shown} >= {
            total for total, _ in models[: is_shared * 2]
        }
        assert shown and len({row["depth"] for row in shown}) == 1


def test_what_a_filter_keeps_is_shown_at_its_own_depth():
    table = LongTable(columns=to_table(measured((12, [6, 8]), (24, [12, 16])), [], {}))
    assert table.resolved(Selection()).depths_asked == (0.75,)
    assert table.resolved(Selection(where={"model": ["m12"]})).depths == (0.75,)


def test_site_and_position_are_of_one_measurement():
    rows = [
        *moved(measured((4, [2])), site="resid_mid", position="mean"),
        *moved(measured((4, [2])), site="resid_post", position="last"),
    ]
    for asked, taken in (
        (Selection(), ("resid_mid", "mean")),
        (Selection(site="resid_mid"), ("resid_mid", "mean")),
        (Selection(position="last"), ("resid_post", "last")),
    ):
        chosen = resolve(asked, rows)
        assert (chosen.site, chosen.position) == taken
        assert len(select(rows, chosen)) == 1 and not chosen.elsewhere
        assert LongTable(columns=to_table(rows, [], {})).resolved(asked) == chosen


def test_turns_give_way_to_a_position_of_every_prompt():
    rows = [
        *moved(measured((4, [2])), site="resid_mid", position="turn-1"),
        *moved(measured((4, [2])), site="resid_post", position="last"),
    ]
    assert resolve(Selection(), rows).site == "resid_post"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"site": "resid_pre"}, "there, but at resid_mid, resid_post; last (--site resid_mid)"),
        ({"position": "all"}, "there, but at resid_mid, resid_post; last (--position last)"),
        ({"site": "resid_pre", "position": "all"}, "(--site resid_mid --position last)"),
    ],
)  # fmt: skip
def test_a_place_that_was_not_measured_says_which_was(asked, words):
    rows = measured((4, [2]))
    rows += moved(rows, site="resid_post")
    chosen = resolve(Selection(**asked), rows)
    assert not select(rows, chosen) and words in describe(chosen)
    assert "no activations" not in describe(resolve(Selection(), rows))


def test_depths_are_those_of_the_position_that_is_shown():
    rows = [*measured((5, [2])), *moved(measured((5, [3])), position="mean")]
    chosen = resolve(Selection(), rows)
    assert chosen.position == "last" and chosen.depths == (0.5,)
    assert resolve(Selection(position="mean"), rows).depths == (0.75,)
