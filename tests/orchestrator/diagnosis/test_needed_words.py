"""Words that a pattern needs only spare searches: what is found is what a search alone finds."""

import random
from pathlib import Path

import pytest
import regex

from orchestrator.diagnosis.matching import Remains, search
from orchestrator.diagnosis.needed_words import needed_words
from orchestrator.diagnosis.signature import KnownFailure, shipped

LOGS = sorted((Path(__file__).parent / "logs").rglob("*.txt"))


def test_every_shipped_signature_needs_words():
    assert [one.name for one in shipped() if not needed_words(one.pattern)] == []


@pytest.mark.parametrize("signature", shipped(), ids=lambda one: one.name)
def test_every_line_that_a_signature_is_found_in_has_one_of_its_words(signature):
    words = needed_words(signature.pattern)
    lines = [line for log in LOGS for line in log.read_text(errors="replace").splitlines()]
    met = [line for line in lines if regex.search(signature.pattern, line)]
    assert met and all(any(word in line.casefold() for word in words) for line in met)


@pytest.mark.parametrize(
    "pattern, words",
    [
        ("lost card", {"lost card"}),
        ("(?i)Lost CARD", {"lost card"}),
        ("^node (?:alpha|beta) left", {"node "}),
        ("(?:alpha|beta): x", {"alpha", "beta"}),
        ("a+lost(?:card)?", {"lost"}),
        ("(?:lost){2,3}", {"lost"}),
        ("(?>lost)", {"lost"}),
        ("alpha|b.*c", None),  # the second has no word that is worth looking for
        ("(?:lost)*", None),
        ("[abc]{9}", None),
        ("(?!lost)x", None),
        ("(?:lost){e<=1}", None),  # with errors: only the library that searches knows it
        ("[[:alpha:]]lost", None),
        (r"\p{Lu}lost", None),
        ("ſtraße", {"tra"}),
    ],
)
def test_words_that_patterns_need(pattern, words):
    assert needed_words(pattern) == words


@pytest.mark.parametrize(
    "pattern, line", [("(?:colour){e<=1}", "a color"), ("(?i)straße", "STRASSE und STRAßE")]
)
def test_what_only_the_library_that_searches_knows_is_found_all_the_same(pattern, line):
    own = KnownFailure(name="own", pattern=pattern, fault_class="gpu", remedy="-", origin="x")
    (match,) = search(Remains(log=["first", line]), [own]).found
    assert match.place == (True, 1)


def test_the_first_line_is_found_whatever_lines_are_left_out():
    generator = random.Random(20260715)
    words = ["lost", "card", "ok", "no space left on device", "Xid 79: fallen off the bus", "x"]
    own = [
        KnownFailure(name=f"n{number}", pattern=pattern, fault_class="gpu", remedy="-", origin="x")
        for number, pattern in enumerate(["^lost.*card$", "card|bus", r"lost\s+card", "x$"])
    ]
    for _ in range(200):
        log = [" ".join(generator.choices(words, k=3)) for _ in range(12)]
        matches = {one.failure.name: one.place[1] for one in search(Remains(log=log), own).found}
        for one in own:
            alone = [number for number, line in enumerate(log) if regex.search(one.pattern, line)]
            assert matches.get(one.name) == (alone[0] if alone else None)


def test_of_an_endless_message_beginning_and_end_are_read():
    message = "\n".join(["lost card", *["so it went"] * 200_000, "no bus"])
    own = [
        KnownFailure(name=name, pattern=name, fault_class="gpu", remedy="-", origin="x")
        for name in ("lost card", "no bus", "so it went")
    ]
    found = search(Remains(message=message), own).found
    assert [one.failure.name for one in found] == ["lost card", "so it went", "no bus"]
    assert found[-1].place[1] < 400
