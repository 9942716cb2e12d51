"""The how-tos name what the contracts of a metric, a format and a family really hold."""

import re
from pathlib import Path

import pytest

from analysis.metric import Metric
from jobs.models.family import Family
from jobs.text.format import Format
from jobs.training.objective import Objective

_HOWTO = Path(__file__).parents[2] / "docs/howto"


@pytest.mark.parametrize(
    ("page", "contract"),
    [
        ("adding-a-metric.md", Metric),
        ("adding-a-format.md", Format),
        ("adding-a-family.md", Family),
        ("adding-an-objective.md", Objective),
    ],
)
def test_the_names_in_the_table_of_a_how_to_are_in_the_contract(page: str, contract: type) -> None:
    text = (_HOWTO / page).read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| name \| what.*?\n\|---\|---\|\n(.*?)\n\n", text, re.M | re.S)
    names = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)", row.split("|")[1])
    }
    assert names <= {*dir(contract), *contract.__annotations__}
