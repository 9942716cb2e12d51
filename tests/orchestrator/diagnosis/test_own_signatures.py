"""Signatures that people bring along: what is refused, with file and line, and what they do."""

import time

import pytest

from cluster.errors import UserError
from cluster.fault_classes import FaultClass
from orchestrator.diagnosis.matching import Remains, search
from orchestrator.diagnosis.own_signatures import own_signatures
from orchestrator.diagnosis.signature import KnownFailure, shipped

GOOD = """\
leaf-three-down:
  pattern: "NET/IB : .* port error"
  class: network
  remedy: "ask about leaf 3"
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function: text -> it stands beside the study, and the folder; no other file is there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("DELTASCALE_CONFIG", raising=False)
    folder = tmp_path / "study"
    folder.mkdir()

    def written(text, place=folder):
        place.mkdir(parents=True, exist_ok=True)
        (place / "signatures.yaml").write_text(text)
        return folder

    return written


def test_those_of_a_study_and_of_the_user_are_read(write, tmp_path):
    write(GOOD.replace("leaf-three-down", "mine"), tmp_path / "config" / "deltascale")
    first, second = own_signatures(write(GOOD))
    assert (first.name, first.fault_class) == ("leaf-three-down", FaultClass.NETWORK)
    assert (second.name, second.remedy) == ("mine", "ask about leaf 3")
    assert first.origin.endswith("study/signatures.yaml")


def test_without_a_file_there_are_none(write, tmp_path):
    assert own_signatures(tmp_path) == own_signatures(None) == []


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ('"NET/IB : .* port error"', '"NET/IB ("', 2, "no regular expression"),
        ('"NET/IB : .* port error"', "'.*'", 2, "found in an empty line"),
        ('"NET/IB : .* port error"', "7", 2, "wants a text for 'pattern'"),
        ("class: network", "class: networks", 3, "unknown class 'networks'"),
        ("class: network", "class: unknown", 3, "unknown class 'unknown'"),
        ("remedy:", "remedies:", 4, "unknown field 'remedies'"),
        ('  remedy: "ask about leaf 3"\n', "", 1, "wants a text for 'remedy'"),
        ("leaf-three-down:", "port-in-use:", 1, "in the package already"),
        (GOOD, "[1, 2]", 1, "no mapping of names"),
        (GOOD, "leaf: 7", 1, "is no mapping"),
        (GOOD, "leaf: {pattern: ]", 1, "not YAML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(write, before, after, line, words):
    folder = write(GOOD.replace(before, after))
    with pytest.raises(UserError) as refused:
        own_signatures(folder)
    assert words in str(refused.value)
    assert f"signatures.yaml:{line}" in refused.value.where


def test_a_near_class_is_named(write):
    with pytest.raises(UserError, match="did you mean 'network'"):
        own_signatures(write(GOOD.replace("class: network", "class: netwrok")))


def test_two_of_one_name_are_refused(write, tmp_path):
    write(GOOD, tmp_path / "config" / "deltascale")
    with pytest.raises(UserError, match="two signatures 'leaf-three-down'"):
        own_signatures(write(GOOD))


def test_their_own_go_before_those_of_the_package(write):
    line = "OSError: [Errno 98] Address already in use"
    own = own_signatures(write(GOOD.replace("NET/IB : .* port error", "Errno 98")))
    found = search(Remains(message="RuntimeError: x", log=[line]), [*shipped(), *own]).found
    assert [match.failure.name for match in found] == ["leaf-three-down", "port-in-use"]


def test_their_own_read_errors_about_values_too(write):
    own = own_signatures(write(GOOD.replace("NET/IB : .* port error", "no such column")))
    remains = Remains(message="ValueError: there is no such column")
    assert search(remains, [*own, *shipped()]).first.failure.name == "leaf-three-down"


def test_an_expression_that_takes_for_ever_is_passed_over():
    for_ever = KnownFailure(
        name="for-ever",
        pattern=r"(a|aa)+$|(x+x+)+y",
        fault_class=FaultClass.NETWORK,
        remedy="none",
        origin="signatures.yaml",
    )
    words = Remains(message="RuntimeError: " + "a" * 60 + "!", log=["x" * 2000, "EADDRINUSE"])
    began = time.monotonic()
    found = search(words, [for_ever, *shipped()])
    assert [match.failure.name for match in found.found] == ["port-in-use"]
    assert [failure.name for failure in found.overdue] == ["for-ever"]
    assert time.monotonic() - began < 60  # without a limit: longer than anybody waits


def test_a_pattern_holds_for_one_line():
    of_two = KnownFailure(
        name="of-two", pattern=r"one\s+two", fault_class=FaultClass.NETWORK, remedy="none"
    )
    assert search(Remains(log=["one", "two"]), [of_two]).first is None
    assert search(Remains(log=["one", "two", "one  two"]), [of_two]).first.place == (True, 2)
