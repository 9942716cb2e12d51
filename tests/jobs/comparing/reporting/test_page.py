"""What stands in the page's bytes, before any browser reads them."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

from analysis.answering.answer import Specifications, Verdict
from jobs.comparing.reporting.embedding import embedded
from jobs.comparing.reporting.page import cell_counts, figure_files, render

NAMED = ("src", "href", "action", "data", "poster", "srcset", "xlink:href")


class Elements(HTMLParser):
    """Every element of a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def elements(page):
    reader = Elements()
    reader.feed(page.decode())
    return reader.found


def document(page):
    """The JSON that the script reads."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.decode())
    return json.loads(text[1])


def test_a_page_names_nothing_outside_itself(small):
    found = elements(render(small))
    named = [value for _, attrs in found for name, value in attrs.items() if name in NAMED]
    assert len(named) > 4
    assert all(value.startswith(("#", "data:image/")) for value in named)
    assert not [tag for tag, _ in found if tag in ("link", "iframe", "object", "embed", "base")]
    assert b"@import" not in render(small) and b"url(" not in render(small)


def test_only_our_own_script_may_run(small):
    policy = next(
        attrs["content"]
        for tag, attrs in elements(render(small))
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none';") and "connect-src" not in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]+';", policy)


def test_names_that_hold_markup_stay_text(hostile, small):
    page = render(hostile)
    tags = [tag for tag, _ in elements(page)]
    assert tags.count("script") == 2
    assert tags.count("img") == 1
    assert document(page)["tables"][0]["rows"][0][0] == hostile.study
    assert b"window.broken" in page and b"49" not in re.findall(rb"<h1>.*?</h1>", page)[0]


def test_every_cell_is_embedded_with_its_keys(small):
    cells = document(render(small))["tables"][0]["cells"]
    assert cells[0][0] == {
        "value": 2.0,
        "low": 1.5,
        "high": 2.5,
        "num_seeds": 1,
        "keys": ["a" * 16],
    }
    lost = {"status": "not_run", "reason": "it was stopped"}
    assert lost.items() <= cells[1][0].items() and "value" not in cells[1][0]


def test_controls_of_a_cell_are_embedded_where_there_are_some(controlled):
    cells = embedded(controlled)["tables"][0]["cells"]
    assert {"floor": 0.25, "null_low": -1.0, "null_high": 1.0}.items() <= cells[0][0].items()
    assert "floor" not in cells[0][1]


def test_an_artifact_that_many_numbers_share_is_embedded_once(small, artifact):
    base = artifact("pretrained", "f")
    several = [artifact("measure", key, replace(base, role="base")) for key in "abcde"]
    found = embedded(replace(small, traces=several))
    assert sorted(found["artifacts"]) == [key * 16 for key in "abcdef"]
    assert found["artifacts"]["a" * 16]["inputs"] == [["base", "f" * 16]]
    assert found["versions"] == [{"python": "3.11.2"}]


def test_keys_are_those_of_cells_and_of_evidence_each_once(small):
    section = small.sections[0]
    other = replace(section.answers[0].evidence[0], keys=("c" * 64, "a" * 64))
    answers = [replace(section.answers[0], evidence=(other,))]
    contents = replace(small, sections=[replace(section, answers=answers)])
    assert contents.keys == ["a" * 64, "c" * 64]


def test_equal_contents_give_equal_bytes(small):
    assert render(small) == render(small)


def test_statuses_are_counted_the_most_frequent_first(small):
    assert list(cell_counts(small)) == [("ok", 15), ("not_run", 1)]


def test_an_answer_says_at_how_many_places_it_holds(small):
    section, none = small.sections[0], Specifications(verdict=Verdict.YES, of=(), is_placed=False)
    placed = [replace(answer, places=none) for answer in section.answers]
    told = b"It rests on no number of activations"
    assert told not in render(small)
    page = render(replace(small, sections=[replace(section, answers=placed)]))
    assert page.count(told) == len(placed) > 0


def test_of_a_figure_the_vector_file_is_shown_and_captions_are_found():
    named = {
        "b.svg": b"<svg/>",
        "b.png": b"png",
        "a.png": b"png",
        "a.pdf": b"pdf",
        "captions.json": b'{"b": "What it shows."}',
    }
    chosen = [(each.name, each.suffix, each.caption) for each in figure_files(named)]
    assert chosen == [("a", "png", ""), ("b", "svg", "What it shows.")]


def test_a_study_without_figures_and_answers_has_no_empty_headings(large):
    page = render(large).decode()
    assert 'href="#figures"' not in page and 'id="figures"' not in page
    assert ">Answers<" not in page
