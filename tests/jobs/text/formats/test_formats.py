import json

import pytest

from cluster.errors import UserError
from jobs.text import format


def paradetox(tmp_path, *rows):
    path = tmp_path / "p.tsv"
    lines = ["toxic\tneutral1\tneutral2\tneutral3", *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_sentence_and_its_rewrites_become_pairs_that_open_alike(tmp_path):
    path = paradetox(
        tmp_path, ("one two  three bad end", "one two three good end", "one two other", "")
    )
    (pair,) = format.read("pairs", "paradetox", path, {"held_out": 0}).items
    assert (pair.prompt, pair.chosen, pair.rejected) == ("one two three", " good end", " bad end")


def test_a_rewrite_that_ends_where_it_parts_is_no_pair(tmp_path):
    path = paradetox(tmp_path, ("one two three bad", "one two three", "", ""))
    reading = format.read("pairs", "paradetox", path, {"held_out": 0})
    assert reading.items == []
    assert [each.row for each in reading.dropped] == [2]


def test_more_shared_words_can_be_asked_for(tmp_path):
    path = paradetox(
        tmp_path,
        ("one two three bad", "one two three good", "", ""),
        ("one two three four bad", "one two three four good", "", ""),
    )
    reading = format.read("pairs", "paradetox", path, {"held_out": 0, "min_words": 4})
    assert [pair.row for pair in reading.items] == [3]


def test_rows_without_a_side_are_dropped_with_their_reason(tmp_path):
    path = paradetox(tmp_path, ("bad one here", "", "", ""), ("", "good", "", ""))
    reading = format.read("texts", "paradetox", path, {})
    assert {each.row: each.reason for each in reading.dropped} == {
        2: "no rewrite",
        3: "no toxic sentence",
    }


def test_texts_are_both_sides(tmp_path):
    path = paradetox(tmp_path, ("bad  words", "good words", "", "fine words"))
    reading = format.read("texts", "paradetox", path, {"held_out": 0})
    assert reading.items == ["bad words", "good words", "fine words"]


def test_sentences_that_open_alike_are_on_one_side_of_the_split(tmp_path):
    rows = [
        (f"say it {opening} bad {end}", f"say it {opening} good {end}", "", "")
        for opening in range(40)
        for end in range(3)
    ]
    path = paradetox(tmp_path, *rows)
    trained = {p.prompt for p in format.read("pairs", "paradetox", path, {}).items}
    measured = {p.source for p in format.read("prompts", "paradetox", path, {}).items}
    assert trained and measured and not trained & measured
    assert len(trained | measured) == 40


def test_the_papers_folder_of_pairs_is_read_in_the_order_of_its_files(tmp_path):
    for name, word in (("split_1.jsonl", "b"), ("split_0.jsonl", "a")):
        row = {"prompt_text": word, "unpert_gen_text": " ok", "pert_gen_text": " no", "extra": [1]}
        (tmp_path / name).write_text(json.dumps(row) + "\n")
    found = format.read("pairs", "pplm", tmp_path, {}).items
    assert [(p.row, p.prompt, p.chosen, p.rejected) for p in found] == [
        (1, "a", " ok", " no"),
        (2, "b", " ok", " no"),
    ]


@pytest.mark.parametrize("name", ["pplm", "realtoxicityprompts"])
def test_a_folder_without_such_files_is_refused(tmp_path, name):
    role = "pairs" if name == "pplm" else "prompts"
    with pytest.raises(UserError, match="file in it"):
        format.read(role, name, tmp_path, {})


def test_lines_of_a_folder_are_prompts_numbered_through(tmp_path):
    (tmp_path / "b.txt").write_text("third\n")
    (tmp_path / "a.txt").write_text("first \n\n")
    reading = format.read("prompts", "realtoxicityprompts", tmp_path, {})
    assert [(p.row, p.source) for p in reading.items] == [(1, "first"), (3, "third")]
    assert [each.row for each in reading.dropped] == [2]


def paragraphs(tmp_path):
    path = tmp_path / "text.txt"
    lines = [" ".join(f"w{place + number}" for place in range(12)) for number in range(80)]
    path.write_text("\n".join(lines) + "\n\n= Heading =\n")
    return path


def test_texts_and_prompts_of_plain_text_share_no_paragraph(tmp_path):
    path = paragraphs(tmp_path)
    options = {"prompt_words": 4, "response_words": 3}
    texts = format.read("texts", "text", path, {}).items
    prompts = format.read("prompts", "text", path, options).items
    openings = {" ".join(text.split()[:4]) for text in texts}
    assert prompts and texts and not openings & {prompt.source for prompt in prompts}
    assert all(len(text.split()) >= 8 for text in texts)


def test_a_paragraph_is_cut_into_a_prompt_and_a_response(tmp_path):
    options = {"prompt_words": 4, "response_words": 3, "held_out": 0}
    first = format.read("prompts", "text", paragraphs(tmp_path), options).items[0]
    assert [(each.role, each.text) for each in first.segments] == [
        ("prompt", "w0 w1 w2 w3"),
        ("response", " w4 w5 w6"),
    ]
