"""A cell named on the command line leads to its rows, or to what else could be meant."""

import pytest

from cluster.errors import UserError
from jobs.comparing.gathering import collect
from jobs.comparing.named_cell import rows_of_cell
from jobs.comparing.view import View


@pytest.fixture
def comparison(done):
    sources = []
    for model in ("small", "large"):
        for number, seed in enumerate(("0", "1")):
            rows = [
                {"metric": "relative_norm", "site": site, "layer": layer, "depth": layer / 2,
                 "position": "last", "value": layer + number}
                for site in ("resid_mid", "resid_post")
                for layer in range(3)
            ]  # fmt: skip
            rows += [
                {"metric": "effective_rank", "site": "resid_mid", "layer": 1, "depth": 0.5,
                 "position": "last", "centred": centred, "value": 2.0}
                for centred in (True, False)
            ]  # fmt: skip
            cell = {"model": model, "objective": "dpo", "seed": seed}
            sources.append(done("geometry", cell, rows))
        sources.append(done("before", {"model": model}, [{"metric": "toxic_mass", "value": 0.5}]))
        mass = [{"metric": "toxic_mass", "value": 0.1}]
        sources.append(done("after", {"model": model, "objective": "dpo"}, mass))
    return collect(sources)


def rows(comparison, text, **view):
    return rows_of_cell(comparison, View(**view), text)


def test_a_cell_is_every_seed_at_the_site_and_depth_that_the_view_shows(comparison):
    found = rows(comparison, "relative_norm,model=small", depth=1.0)
    assert [(row["layer"], row["site"], row["seed"], row["value"]) for row in found] == [
        (2, "resid_mid", "0", 2.0),
        (2, "resid_mid", "1", 3.0),
    ]
    (one,) = rows(comparison, "relative_norm,model=small,seed=1,layer=0,site=resid_post")
    assert one["value"] == 1.0 and one["key"]
    assert [row["layer"] for row in rows(comparison, "relative_norm,model=large,depth=0")] == [0, 0]


def test_what_has_no_value_of_an_axis_is_named_as_tables_name_it(comparison):
    from analysis.long_table.selection import BLANKS

    (found,) = rows(comparison, f"toxic_mass,model=small,objective={BLANKS['objective']}")
    assert found["value"] == 0.5


def test_several_cells_are_listed_by_what_tells_them_apart(comparison):
    with pytest.raises(UserError, match="matches 2 cells") as caught:
        rows(comparison, "relative_norm")
    assert caught.value.allowed == ["relative_norm,model=large", "relative_norm,model=small"]
    with pytest.raises(UserError) as caught:
        rows(comparison, "effective_rank,model=small,layer=1")
    assert caught.value.allowed == [
        "effective_rank,model=small,layer=1,centred=false",
        "effective_rank,model=small,layer=1,centred=true",
    ]
    for cell in caught.value.allowed:
        assert rows(comparison, cell), "each can be asked for as it is"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("relative_nrm", "unknown metric", "relative_norm"),
        ("relative_norm,modl=small", "unknown axis", "model"),
        ("relative_norm,model=smal", "unknown value of model", "small"),
        ("relative_norm,small", "is not axis=value", "METRIC,axis=value"),
        ("relative_norm,model=", "is not axis=value", "METRIC,axis=value"),
        ("relative_norm,model=small,depth=2", "not one number from 0 to 1", ""),
        ("toxic_mass,model=small,objective=dpo,seed=3", "unknown value of seed", ""),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest(comparison, text, message, hint):
    with pytest.raises(UserError, match=message) as caught:
        rows(comparison, text)
    assert hint in (caught.value.hint or "")


def test_names_that_exist_but_not_together_are_told_with_what_does(comparison):
    with pytest.raises(UserError, match="no measurement matches") as caught:
        rows(comparison, f"relative_norm,model=large,key={comparison_key(comparison, 'small')}")
    assert caught.value.allowed


def comparison_key(comparison, model):
    return next(
        row["key"]
        for row in comparison.rows
        if (row["model"], row["metric"]) == (model, "relative_norm")
    )


def test_a_cell_is_read_at_the_depth_at_which_the_table_shows_it(done):
    sources = [
        done("geometry", {"model": model}, [
            {"metric": "relative_norm", "site": "resid_mid", "position": "last", "value": layer,
             "num_layers": total, "layer": layer}
            for layer in layers
        ])
        for model, total, layers in (("m12", 12, [6, 8]), ("m24", 24, [12, 16]))
    ]  # fmt: skip
    comparison = collect(sources)
    table = comparison.table(View(metrics=["relative_norm"]))
    shown = {
        side[1]: cells[0].number.value for side, cells in zip(table.rows, table.cells, strict=True)
    }
    for model in ("m12", "m24"):
        (row,) = rows(comparison, f"relative_norm,model={model}")
        assert row["value"] == shown[model]
