"""What a kind's run returns: told at once where a record or a table could not take it."""

from types import MappingProxyType

import numpy as np
import pytest

from cluster.errors import UserError
from jobs.worker.measured_rows import FILE
from jobs.worker.returned_facts import checked_facts


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (None, "returns NoneType, not a dict"),
        ("done", "returns str, not a dict"),
        (MappingProxyType({"rows": 3}), "returns mappingproxy, not a dict"),
        ({"rows": np.int64(3)}, "numpy.int64"),
        ({"words": {"a"}}, "builtins.set"),
    ],
)
def test_what_no_record_can_hold_is_named_with_the_kind(facts, told, tmp_path):
    with pytest.raises(UserError, match=told) as caught:
        checked_facts("count-words", facts, tmp_path, measures=False)
    assert "'count-words'" in str(caught.value)


def test_a_kind_that_measures_leaves_measurements(tmp_path):
    with pytest.raises(UserError, match=f"leaves no {FILE}"):
        checked_facts("count-words", {"rows": 3}, tmp_path, measures=True)
    (tmp_path / FILE).touch()
    assert checked_facts("count-words", {"rows": 3}, tmp_path, measures=True) == {"rows": 3}
