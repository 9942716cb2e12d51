"""docs/reference/command-line.md names every verb and option, and none that is not there."""

import argparse
import re
from pathlib import Path

import pytest

from orchestrator.cli import verb_names
from orchestrator.verb import VERBS

_PAGE = Path(__file__).parents[2] / "docs/reference/command-line.md"
_SECTIONS = dict(
    re.findall(r"^## `([\w-]+)`\n(.*?)(?=^## |\Z)", _PAGE.read_text("utf-8"), re.M | re.S)
)


def _options(verb: str) -> set[str]:
    parser = argparse.ArgumentParser(add_help=False)
    VERBS.find(verb).arguments(parser)
    return {text for action in parser._actions for text in action.option_strings}


def test_every_verb_has_a_section() -> None:
    assert list(_SECTIONS) == verb_names()


@pytest.mark.parametrize("verb", verb_names())
def test_a_section_names_the_options_of_its_verb(verb: str) -> None:
    written = set(re.findall(r"`(--[\w-]+)[^`]*`", _SECTIONS[verb])) - {"--json"}
    assert written == _options(verb)
