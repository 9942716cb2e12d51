"""Test of kind `my-entry`: what it counts, and what its jobs are keyed by."""

import json
import sys
from pathlib import Path

from jobs.entries.own_entries import read_entries
from jobs.kind import KINDS

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_words_of_a_prompt_are_counted() -> None:
    line = json.dumps({"segments": [{"text": "one two"}, {"text": " three"}]})
    with ENTRIES.bringing():
        kind = KINDS.find("my-entry")
    module = sys.modules[type(kind).__module__]
    assert module.number_of_words(line, 1) == 3
    assert module.number_of_words(line, 4) == 1


def test_its_params_have_defaults() -> None:
    with ENTRIES.bringing():
        assert KINDS.find("my-entry").Params().model_dump() == {"least": 1}
