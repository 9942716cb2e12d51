"""Whatever a parser is given, it answers with a value or with the one fault that it declares."""

import json
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.checked_json import parse_json
from cluster.errors import UserError
from jobs.artifacts.artifact import Record
from jobs.store.store_layout import parse_marker
from jobs.training.resume.checkpoint_files import Marker
from orchestrator.plan.machines import parse_machines
from orchestrator.records import events
from orchestrator.study.study import parse_study

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside),
    max_leaves=12,
)
_FIELDS = st.sampled_from(
    ["key", "kind", "attempt", "files", "inputs", "facts", "step", "layout", "exact", "shards"]
    + ["event", "at", "result", "message", "execution", "launch", "seconds", "host", "pid"]
)
_EVENTS = st.sampled_from(["launch-started", "submitted", "ended", "refused", "launch-ended"])
_DOCUMENTS = st.dictionaries(_FIELDS, _VALUES | _EVENTS, max_size=8) | _VALUES
_BYTES = st.binary(max_size=60) | _DOCUMENTS.map(lambda value: json.dumps(value).encode())


@settings(max_examples=60)
@given(data=_BYTES)
def test_json_of_every_shape_is_read_or_is_a_value_error(data: bytes) -> None:
    for parse in (parse_json, Record.from_json, Marker.from_json, parse_marker, events.parse_event):
        with suppress(ValueError):
            parse(data)


@settings(max_examples=60)
@given(depth=st.integers(1, 5000), opening=st.sampled_from(["[", '{"a":']))
def test_json_that_is_deep_is_a_value_error(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    text = opening * depth + "1" + closing * depth
    with suppress(ValueError):
        parse_json(text)
        assert depth <= 64


@settings(max_examples=60)
@given(text=st.text(max_size=80) | _VALUES.map(json.dumps))
def test_a_study_and_machines_of_any_text_are_read_or_told(text: str) -> None:
    with suppress(UserError):
        parse_study(text)
    with suppress(UserError):
        parse_machines(text)
