"""What people read, too, is the JSON that was meant, a line for each entry, in one order."""

import json
from dataclasses import asdict, dataclass

import pytest

from cluster.readable_json import readable_json


@dataclass
class Size:
    """Something JSON does not know."""

    bytes: int


def test_each_entry_has_a_line_and_names_are_sorted_at_every_depth():
    values = {"b": {"d": [1, 2], "c": {"z": 1, "y": None}}, "a": "é\n", "empty": {}}
    assert readable_json(values).decode() == (
        '{\n "a": "\\u00e9\\n",\n "b": {\n  "c": {"y": null, "z": 1},\n  "d": [1, 2]\n },\n'
        ' "empty": {}\n}\n'
    )


@pytest.mark.parametrize("values", [{}, {"a": 1.5, "b": True}, {"x": {"y": {"z": [{"u": {}}]}}}])
def test_what_was_written_is_read_again(values):
    assert json.loads(readable_json(values)) == values


def test_what_json_does_not_know_is_turned_into_what_it_knows_or_refused():
    assert json.loads(readable_json({"size": Size(3)}, asdict)) == {"size": {"bytes": 3}}
    with pytest.raises(TypeError):
        readable_json({"size": Size(3)})
