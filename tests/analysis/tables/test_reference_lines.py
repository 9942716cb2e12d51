"""Published numbers under interventions that go down the side, each beside ours."""

from analysis.tables.comparison_table import compare
from analysis.tables.layout import TableLayout
from analysis.tables.writer import WRITERS

LEE = "gpt2-medium (Lee et al. 2024)"
DOWN = TableLayout(rows=("model", "intervention", "direction", "dose"))
OURS = [
    ("subtract-direction", "probe", "0"),
    ("subtract-direction", "probe", "50"),
    ("subtract-direction", "svd", "100"),
    ("scale-keys", None, "0"),
    ("scale-keys", None, "10"),
]


def rows():
    facts = {"model": "gpt2-medium", "family": "gpt2", "num_parameters": 354_823_168}
    return [
        facts
        | {"metric": metric, "value": 0.5, "definition": "d", "key": "k", "objective": "dpo"}
        | {"intervention": place[0], "direction": place[1], "dose": float(place[2])}
        for metric in ("patched_toxic_score", "patched_window_perplexity")
        for place in OURS
    ]


def published(layout):
    table = compare(rows(), layout=layout, references=["lee2024"])
    return {
        header[3:]: [cell.number.value for cell in cells]
        for header, cells in zip(table.rows, table.cells, strict=True)
        if header[1] == LEE
    }


def test_every_published_intervention_of_our_families_has_a_line():
    lines = published(DOWN)
    assert lines["subtract-direction", "probe", "50"] == [0.245, 23.56]
    assert lines["subtract-direction", "value-vector", "20"] == [0.305, 23.30]
    assert lines["subtract-direction", "svd", "100"] == [0.268, 23.48]
    assert lines["subtract-direction", "probe", "0"] == [0.453, 21.70]
    assert lines["scale-keys", "", "0"] == [0.208, 23.34]
    assert lines["scale-keys", "", "10"] == [0.458, 23.30]
    assert all(None not in values for values in lines.values())
    table = compare(rows(), layout=DOWN, references=["lee2024"])
    assert not any(header[1].startswith("llama") for header in table.rows)


def test_with_models_alone_down_the_side_a_model_has_one_line():
    across = TableLayout(columns=("intervention", "direction", "dose"))
    table = compare(rows(), layout=across, references=["lee2024"])
    line = dict(zip(table.columns, table.cells[-2], strict=True))
    found = {cell.number.value for cell in line.values()}
    assert {0.245, 0.268, 0.458, 23.56} <= found


def test_headers_hold_numbers_where_ours_do_in_every_format():
    table = compare(rows(), layout=DOWN, references=["lee2024"])
    assert {type(values[-1]) for values in table.row_values} == {float}
    for name in WRITERS.names():
        assert WRITERS.find(name).render(table)
