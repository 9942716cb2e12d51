"""What a cell must say: bypass claims without a decode control, models without weights, others'
published numbers."""

import pytest

from analysis.long_table.circumstances import Circumstances
from analysis.tables.comparison_table import ANSWERABLE, compare
from analysis.tables.layout import TableLayout
from analysis.tables.reference import REFERENCES
from analysis.tables.scaling_table import scaling_table
from jobs.kinds.ask import Ask

ask = Ask()

TRANSFORMS = ("plain", "rot13", "base64")
ABOUT = {
    f"{who}-{name}": Circumstances(transform=name, aligned="a" if who == "after" else None)
    for who in ("before", "after")
    for name in TRANSFORMS
}


def row(metric="toxic_mass", condition="plain", objective=None, **over):
    who = "before" if objective is None else "after"
    fixed = {"model": "m", "family": "gpt2", "num_parameters": 1000, "key": f"{who}-{condition}"}
    where = {"metric": metric, "condition": condition, "objective": objective}
    return fixed | where | {"value": 0.5, "low": 0.4, "high": 0.6} | over


def notes(rows, metric="toxic_mass", **how):
    table = compare(rows, layout=TableLayout(columns=("condition", "objective")), **how)
    return {
        header[1:]: table.footnotes.get(cell.mark)
        for header, cell in zip(table.columns, table.cells[0], strict=True)
        if header[0] == metric
    }


def behaviour():
    return [row(condition=name, objective=who) for name in TRANSFORMS for who in (None, "dpo")]


def test_behaviour_under_a_transform_needs_a_decode_control_above_zero():
    controls = [
        row("decode_loss_gap", "rot13", value=1.0, low=0.5, high=1.5),
        row("decode_loss_gap", "base64", value=0.1, low=-0.1, high=0.3),
        row("decode_loss_gap", "base64", "dpo", value=1.0, low=0.5, high=1.5),
    ]
    found = notes(behaviour() + controls, circumstances=ABOUT)
    assert found["plain", "dpo"] is None and found["rot13", "dpo"] is None
    assert "the decode control under base64 is not above 0" in found["base64", "dpo"]


def test_without_any_control_every_transformed_cell_says_so_and_no_other():
    found = notes([*behaviour(), row("perplexity", "rot13")], circumstances=ABOUT)
    assert found["plain", "dpo"] is None
    assert found["rot13", "dpo"] == "no bypass claim: no decode control was measured under rot13"
    rest = notes([*behaviour(), row("perplexity", "rot13")], "perplexity", circumstances=ABOUT)
    assert set(rest.values()) == {None}


def test_what_a_control_of_another_model_says_does_not_count():
    other = row("decode_loss_gap", "rot13", value=1.0, low=0.5, high=1.5, model="n")
    assert notes([*behaviour(), other], circumstances=ABOUT)["rot13", "dpo"] is not None


@pytest.mark.parametrize("reads", ["base", "sft"])
def test_the_control_of_dpo_after_sft_is_that_of_the_model_of_sft(reads):
    """Whichever of the two reads the transform."""
    about = {
        "before-rot13": Circumstances(transform="rot13", base="b"),
        "sft-rot13": Circumstances(transform="rot13", base="b", aligned="s"),
        "after-rot13": Circumstances(transform="rot13", base="s", aligned="d"),
    }
    rows = [
        row(metric, "rot13", who, key=key, value=value, low=value - 0.1, high=value + 0.1)
        for who, key in ((None, "before-rot13"), ("sft", "sft-rot13"))
        for metric, value in (
            ("toxic_mass", 0.5),
            ("decode_loss_gap", 1.0 if reads == (who or "base") else -1.0),
        )
    ]
    rows.append(row("toxic_mass", "rot13", "dpo"))
    found = notes(rows, circumstances=about)
    assert (found["rot13", "dpo"] is None) is (reads == "sft")
    assert (found["rot13", "base"] is None) is (reads == "base")


def test_cells_of_a_model_behind_an_endpoint_say_that_it_has_no_weights():
    closed = {"model": "closed", "family": "endpoint", "num_parameters": None}
    rows = [
        row("toxic_rate"),
        row("cka", site="resid_mid", layer=0, num_layers=1, depth=0.0),
        row("toxic_rate") | closed,
        row("toxic_rate", "rot13"),
    ]
    table = compare(rows)
    line = next(
        cells for header, cells in zip(table.rows, table.cells, strict=True) if "closed" in header
    )
    by_metric = dict(zip([header[:2] for header in table.columns], line, strict=True))
    assert by_metric["cka", "plain"].number.status == "no_weights"
    assert table.footnotes[by_metric["cka", "plain"].mark].startswith("no_weights: ")
    assert by_metric["toxic_rate", "rot13"].number.status == "not_run"


def test_what_an_endpoint_can_be_asked_for_is_what_the_kind_ask_measures():
    assert set(ask.MEASURES) == ANSWERABLE


def published(rows, **how):
    table = compare(rows, references=["lee2024"], **how)
    lines = dict(zip([header[1] for header in table.rows], table.cells, strict=True))
    return table, {
        name: dict(zip(table.columns, cells, strict=True)) for name, cells in lines.items()
    }


def test_published_numbers_stand_below_with_what_differs():
    rows = [row("perplexity", name, who) for name in TRANSFORMS[:2] for who in (None, "dpo", "sft")]
    rows += [row("toxic_rate", "plain", who) for who in (None, "dpo", "sft")]
    table, lines = published(rows)
    gpt2 = lines[LEE]
    shown = {header: cell.text for header, cell in gpt2.items() if cell.number.value is not None}
    assert sorted(shown.values()) == ["0.208", "0.453", "21.7", "23.34"]
    rate = next(c for h, c in gpt2.items() if "toxic_rate" in h and "dpo" in h)
    assert rate.number.value == 0.208 and "another scorer" in table.footnotes[rate.mark]
    assert all(table.footnotes[cell.mark] for cell in gpt2.values())
    assert [header[1] for header in table.rows][-2:] == [LEE, "llama-2-7b (Lee et al. 2024)"]


def test_a_study_of_aligned_models_only_gets_the_numbers_of_aligned_ones():
    _, lines = published([row("perplexity", "plain", "dpo"), row("perplexity", "rot13", "dpo")])
    assert {cell.number.value for cell in lines[LEE].values()} == {23.34, None}


def test_a_score_goes_beside_the_mean_score_where_the_table_has_one():
    _, lines = published([row("toxic_rate"), row("toxic_score")])
    found = {header[0]: cell.number.value for header, cell in lines[LEE].items()}
    assert found == {"toxic_rate": None, "toxic_score": 0.453}


def test_no_published_number_enters_a_fit():
    rows = [
        row("perplexity", model=f"m{n}", num_parameters=10**n, value=10 ** (n / 4))
        for n in range(4, 8)
    ]
    assert scaling_table(rows).cells[0][0].number.value == pytest.approx(0.25)
    assert "references" not in scaling_table.__annotations__


def test_references_are_found_by_their_file_and_need_models_down_the_side():
    assert REFERENCES.names() == ["lee2024"]
    with pytest.raises(ValueError, match="did you mean 'lee2024'"):
        REFERENCES.find("lee2025")
    with pytest.raises(ValueError, match="'model' is not among the rows"):
        compare(behaviour(), layout=TableLayout(rows=("condition",)), references=["lee2024"])


LEE = "gpt2-medium (Lee et al. 2024)"
