"""docs/reference/profiles.md names every field of every kind of profile, and none that is not."""

import re
from pathlib import Path

import pytest

from orchestrator.profiles.kind import PROFILE_KINDS
from orchestrator.profiles.profile import Nodes, Profile

_PAGE = (Path(__file__).parents[2] / "docs/reference/profiles.md").read_text("utf-8")
_SECTIONS = dict(re.findall(r"^###? ([^\n]+)\n(.*?)(?=^##|\Z)", _PAGE, re.M | re.S))


def _fields_in(section: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", _SECTIONS[section], re.M))


def test_what_every_profile_has_is_there() -> None:
    assert _fields_in("Every kind") == set(Profile.model_fields)
    assert _fields_in("A shape of nodes") == set(Nodes.model_fields)


@pytest.mark.parametrize("name", PROFILE_KINDS.names())
def test_a_kind_has_a_section_with_its_own_fields_and_all_that_is_inside(name: str) -> None:
    section = f"Kind `{name}`"
    fields = PROFILE_KINDS.find(name).Fields
    assert _fields_in(section) == set(fields.model_fields) - set(Profile.model_fields)
    words = set(re.findall(r"`(\w+)`", _SECTIONS[section] + _PAGE.partition("## What `plan")[0]))
    for part in fields.model_json_schema().get("$defs", {}).values():
        assert set(part["properties"]) <= words, part["title"]
