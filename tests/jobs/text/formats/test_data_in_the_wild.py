"""Rows, columns and folders as data sets have them outside."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from cluster.errors import UserError
from jobs.kinds.pairs import Pairs
from jobs.text import format
from tests.jobs.text.written_rows import said, written

pairs_kind = Pairs()


def row(number, **more):
    return {"prompt": f"p{number}", "chosen": f" a{number}", "rejected": " b", **more}


def read(path, name="prompt-chosen-rejected", role="pairs", **options):
    return format.read(role, name, path, options)


def prompts_of(reading):
    return [pair.prompt for pair in reading.items]


GOOD = [row(number) for number in range(24)]


@pytest.mark.parametrize(
    "bad, reason",
    [
        ({"chosen": None}, "'chosen' is empty"),
        ({"chosen": float("nan")}, "'chosen' is empty"),
        ({"chosen": ""}, "'chosen' is empty"),
        ({"prompt": 3}, "'prompt' is not text"),
        ({"rejected": "cut \ud83d"}, "'rejected' holds half a character (a lone surrogate)"),
        ({"rejected": [said("user", "a")]}, "'rejected' is a list of chat messages"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_with_its_reason(tmp_path, bad, reason):
    reading = read(written(tmp_path / "rows.jsonl", [*GOOD, {**row(24), **bad}]))
    assert len(reading.items) == 24 and reading.num_rows == 25
    (dropped,) = reading.dropped
    assert dropped.row == 25 and dropped.malformed and dropped.reason.startswith(reason)


def test_a_larger_share_than_allowed_names_every_kind_of_fault(tmp_path):
    bad = [{**row(n), "chosen": None} for n in range(2)] + [{**row(9), "prompt": 1}]
    path = written(tmp_path / "rows.jsonl", [*GOOD[:20], *bad])
    with pytest.raises(UserError) as caught:
        read(path)
    assert caught.value.error == "'chosen' is empty: rows 21, 22; 'prompt' is not text: row 23"
    assert "3 of 23 rows" in caught.value.hint and "max_dropped" in caught.value.hint
    params = pairs_kind.Params(source=str(path), format="prompt-chosen-rejected", max_dropped=0.2)
    (note,) = pairs_kind.notes(params, {})
    assert "3 of 23 rows cannot be used" in note and "rows 21, 22" in note


def test_the_job_and_its_plan_leave_out_the_same_rows(root, tmp_path):
    path = written(tmp_path / "rows.jsonl", [*GOOD, {**row(24), "chosen": ""}])
    given = {"source": str(path), "format": "prompt-chosen-rejected"}
    (note,) = pairs_kind.notes(pairs_kind.Params(**given), {})
    artifact = root.done("pairs", given)
    report = json.loads(artifact.read("report.json"))
    assert report["dropped"] == {"'chosen' is empty": {"count": 1, "rows": [25]}}
    assert artifact.facts["num_pairs"] == 24 and "1 of 25 rows" in note


def test_columns_that_nothing_reads_are_named_in_the_report(root, tmp_path):
    path = written(tmp_path / "rows.jsonl", [row(n, score=1, lang="en") for n in range(5)])
    artifact = root.done("pairs", {"source": str(path), "format": "prompt-chosen-rejected"})
    assert json.loads(artifact.read("report.json"))["unused_columns"] == ["score", "lang"]


def test_columns_of_other_names_and_inside_others_are_read_under_ours(tmp_path):
    rows = [{"data": {"q": f"p{n}", "chosen": " a", "rejected": " b"}} for n in range(3)]
    path = written(tmp_path / "rows.jsonl", rows)
    columns = {"prompt": "data.q", "chosen": "data.chosen", "rejected": "data.rejected"}
    assert prompts_of(read(path, columns=columns)) == ["p0", "p1", "p2"]
    with pytest.raises(UserError, match="missing columns") as caught:
        read(path)
    assert "chosen: data.chosen" in caught.value.hint


def test_without_a_prompt_the_words_that_both_sides_open_with_are_it(tmp_path):
    sides = {"chosen": "Please stay calm now", "rejected": "Please stay cross now"}
    (pair,) = read(written(tmp_path / "rows.jsonl", [sides])).items
    assert (pair.prompt, pair.chosen, pair.rejected) == ("Please stay", " calm now", " cross now")
    transcripts = {side: f"\n\nHuman: a\n\nAssistant: {side}" for side in sides}
    with pytest.raises(UserError, match="hh-rlhf"):
        read(written(tmp_path / "hh.jsonl", [transcripts]))


ASKED, YES, NO = said("user", "ask"), said("assistant", "yes"), said("assistant", "no")
NUMPY = "[{'role': 'user', 'content': \"it's {x} [y]\"}\n {'role': 'assistant', 'content': 'ok'}]"
FORMS = {
    "whole conversations": {"chosen": [ASKED, YES], "rejected": [ASKED, NO]},
    "a prompt of messages": {"prompt": [ASKED], "chosen": [YES], "rejected": [NO]},
    "a prompt of messages, repeated": {
        "prompt": [ASKED],
        "chosen": [ASKED, YES],
        "rejected": [ASKED, NO],
    },
    "a prompt of text": {"prompt": "ask", "chosen": [YES], "rejected": [NO]},
    "a prompt of messages, answers of text": {"prompt": [ASKED], "chosen": "yes", "rejected": "no"},
    "one message each": {"prompt": [ASKED], "chosen": YES, "rejected": NO},
    "ShareGPT": {
        "conversations": [{"from": "human", "value": "ask"}],
        "chosen": {"from": "gpt", "value": "yes"},
        "rejected": {"from": "gpt", "value": "no"},
    },
    "structs of lists": {
        side: {"role": ["user", "assistant"], "content": ["ask", answer]}
        for side, answer in (("chosen", "yes"), ("rejected", "no"))
    },
    "text in Python's form": {"chosen": str([ASKED, YES]), "rejected": str([ASKED, NO])},
    "text in JSON's form": {
        "chosen": json.dumps([ASKED, YES]),
        "rejected": json.dumps([ASKED, NO]),
    },
    "text in numpy's form": {
        side: f"[{ASKED}\n {answer}]" for side, answer in (("chosen", YES), ("rejected", NO))
    },
    "text with numpy's names": {
        side: f"array([{ASKED},\n       {answer}], dtype=object)"
        for side, answer in (("chosen", YES), ("rejected", NO))
    },
    "contents in parts": {
        side: [ASKED, {"role": "assistant", "content": [{"type": "text", "text": answer}]}]
        for side, answer in (("chosen", "yes"), ("rejected", "no"))
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_messages_are_read_in_every_form(tmp_path, form):
    (pair,) = read(written(tmp_path / "rows.jsonl", [FORMS[form]]), "messages").items
    assert (pair.prompt, pair.chosen, pair.rejected) == (
        "\n\nHuman: ask\n\nAssistant:",
        " yes",
        " no",
    )


def test_a_system_prompt_in_a_column_is_the_first_turn(tmp_path):
    path = written(tmp_path / "rows.jsonl", [{"system": "be kind", **FORMS["one message each"]}])
    (pair,) = read(path, "messages").items
    assert [turn.role for turn in pair.turns] == ["system", "user"]


def test_text_that_only_looks_like_a_list_is_never_run(tmp_path):
    mark = tmp_path / "was-run"
    evil = f"[{{'role': 'user', 'content': __import__('pathlib').Path({str(mark)!r}).touch()}}]"
    rows = [FORMS["one message each"]] * 20 + [
        {"prompt": [ASKED], "chosen": [YES], "rejected": evil}
    ]
    reading = read(written(tmp_path / "rows.jsonl", rows), "messages")
    assert len(reading.items) == 20 and not mark.exists()
    assert [(each.row, each.malformed, each.reason) for each in reading.dropped] == [
        (21, True, "'rejected' begins as a list of messages, and cannot be read as one")
    ]


def test_lists_that_became_text_are_named_where_plain_text_is_read(tmp_path):
    rows = [{"prompt": "ask", **FORMS["text in numpy's form"]} for _ in range(7)]
    with pytest.raises(UserError) as caught:
        read(written(tmp_path / "rows.jsonl", rows))
    assert "format `messages`" in caught.value.error and "(7 rows)" in caught.value.error


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        said("tool", "21"),
        {"from": "observation", "value": "21"},
    ],
)
def test_a_turn_of_a_tool_costs_its_row_alone(tmp_path, turn):
    rows = [FORMS["one message each"]] * 20
    rows.append({"chosen": [ASKED, turn, YES], "rejected": [ASKED, turn, NO]})
    reading = read(written(tmp_path / "rows.jsonl", rows), "messages")
    assert [(each.row, each.reason) for each in reading.dropped] == [
        (21, "'chosen' has a turn of a tool")
    ]


LAYOUTS = {
    "counted": ["train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl"],
    "hashed": [f"data/train-0000{n}-of-00002-8b8e0d5f1c2a3b4c.jsonl" for n in range(2)],
    "numbered": ["train_0.jsonl", "train_1.jsonl"],
    "spark": [
        f"train/part-0000{n}-3f2a8c1e-1b2c-4d5e-8f90-a1b2c3d4e5f6-c000.jsonl" for n in (0, 1)
    ],
    "in a folder": ["train/0000.jsonl", "train/0001.jsonl"],
    "saved to disk": [f"train/data-0000{n}-of-00002.jsonl" for n in range(2)],
    "nested": ["default/train/0000.jsonl", "default/train/0001.jsonl"],
}
SIDE_FILES = (
    *(".DS_Store", "._train.jsonl", "README.md", "dataset_infos.json", ".gitattributes"),
    *("_SUCCESS", "dataset_dict.json", "train/state.json", "train/dataset_info.json"),
    ".cache/huggingface/download/train.jsonl",
)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shards_are_found_however_they_are_numbered_and_side_files_are_none(tmp_path, layout):
    for number, name in enumerate(LAYOUTS[layout]):
        written(tmp_path / name, [row(number)])
    for name in SIDE_FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"not": "data"}')
    assert prompts_of(read(tmp_path, split="train")) == ["p0", "p1"]
    assert prompts_of(read(tmp_path)) == ["p0", "p1"]


def test_shards_that_are_missing_and_subsets_read_together_are_noted(tmp_path):
    for subset in ("en", "fr"):
        written(tmp_path / subset / "train-00000-of-00003.jsonl", [row(1)])
    reading = read(tmp_path)
    assert "2 of 3 shards of en/train are not there" in reading.notes[0]
    assert "2 subsets are read together (en, fr)" in reading.notes[-1]
    assert len(read(tmp_path, subset="fr").items) == 1
    with pytest.raises(UserError, match="did you mean 'fr'"):
        read(tmp_path, subset="fe")


def test_data_sets_whose_names_end_in_versions_are_not_one(tmp_path):
    for name in ("gpt-3.jsonl", "gpt-4.jsonl"):
        written(tmp_path / name, [row(1)])
    with pytest.raises(UserError, match="several splits") as caught:
        read(tmp_path)
    assert caught.value.allowed == ["gpt-3", "gpt-4"]


def test_prompts_as_published_with_their_scores_are_read(tmp_path):
    rows = [{"prompt": {"text": f"the {n}", "toxicity": None}, "continuation": {}} for n in "ab"]
    reading = read(written(tmp_path / "p.jsonl", rows), "realtoxicityprompts", "prompts")
    assert [prompt.source for prompt in reading.items] == ["the a", "the b"]
    assert reading.unused_columns == ("continuation",)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_text_is_read_from_a_column_and_never_from_lines_of_json(tmp_path, suffix):
    rows = [{"text": " ".join(f"w{n}" for n in range(40))}]
    if suffix == "jsonl":
        path = written(tmp_path / "c.jsonl", rows)
    else:
        path = tmp_path / "c.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert read(path, "text", "texts", held_out=0).items == [rows[0]["text"]]
    with pytest.raises(UserError, match="JSON objects, not text"):
        read(written(tmp_path / "c.txt", rows), "text", "texts")


@pytest.mark.parametrize("source", ["hf://datasets/org/name", "https://host/rows.jsonl"])
def test_an_address_is_refused_with_the_way_on(source):
    with pytest.raises(UserError) as caught:
        pairs_kind.pins(pairs_kind.Params(source=source, format="hh-rlhf"), {})
    assert "download it" in caught.value.hint


def test_what_is_neither_file_nor_folder_is_refused(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(UserError, match="not one"):
        read(tmp_path / "pipe.jsonl")
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / ("x" * 300))
    (tmp_path / "pipes").mkdir()
    os.mkfifo(tmp_path / "pipes" / "a.txt")
    with pytest.raises(UserError, match=r"no .txt file in it"):
        read(tmp_path / "pipes", "text", "texts")


def test_the_hubs_cache_is_read_at_its_branch_alone(tmp_path):
    for commit in ("aaa", "bbb"):
        written(
            tmp_path / "snapshots" / commit / "data" / "train-00000-of-00001.jsonl", [row(commit)]
        )
    (tmp_path / "refs").mkdir()
    with pytest.raises(UserError, match="several snapshots"):
        read(tmp_path)
    (tmp_path / "refs" / "main").write_text("bbb")
    assert prompts_of(read(tmp_path)) == ["pbbb"]


def test_a_split_that_lies_there_in_two_forms_is_not_read_twice(tmp_path):
    written(tmp_path / "train.jsonl", [row(1)])
    (tmp_path / "train.csv").write_text("prompt,chosen,rejected\np1, a1, b\n")
    with pytest.raises(UserError, match="in several forms") as caught:
        read(tmp_path)
    assert caught.value.allowed == [".csv", ".jsonl"]


def test_empty_shards_among_others_are_noted(tmp_path):
    written(tmp_path / "train" / "part-00000.jsonl", [])
    written(tmp_path / "train" / "part-00001.jsonl", [row(1)])
    reading = read(tmp_path)
    assert prompts_of(reading) == ["p1"] and reading.notes == ("1 of 2 files hold no rows",)


def test_a_missing_column_names_a_likely_one_and_the_subsets(tmp_path):
    asked = written(tmp_path / "q.jsonl", [{"question": "p", "chosen": "a b", "rejected": "a c"}])
    with pytest.raises(UserError, match="missing column prompt") as caught:
        read(asked)
    assert "{prompt: question}" in caught.value.hint
    assert prompts_of(read(asked, columns={"prompt": "question"})) == ["p"]
    written(tmp_path / "set" / "en" / "train.jsonl", [row(1)])
    written(tmp_path / "set" / "fr" / "train.jsonl", [{"text": "a"}])
    with pytest.raises(UserError, match="missing columns") as caught:
        read(tmp_path / "set")
    assert "en, fr" in caught.value.hint


def test_columns_inside_others_are_named_where_they_are_missing(tmp_path):
    path = tmp_path / "rows.parquet"
    rows = [{"data": {"prompt": "p", "chosen": " a", "rejected": " b"}}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    with pytest.raises(UserError) as caught:
        read(path)
    assert "chosen: data.chosen" in caught.value.hint


def test_prompts_whose_scores_became_text_are_read(tmp_path):
    cell = str({"text": "the cat's", "toxicity": float("nan")})
    path = tmp_path / "p.csv"
    quoted = cell.replace('"', '""')
    path.write_text(f'filename,prompt\nx.txt,"{quoted}"\n')
    (prompt,) = read(path, "realtoxicityprompts", "prompts").items
    assert prompt.source == "the cat's"


def test_suffixes_may_be_capitals(tmp_path):
    assert prompts_of(read(written(tmp_path / "ROWS.JSONL", [row(1)]))) == ["p1"]


@pytest.mark.parametrize("text", ["[" + "1 -" * 50_000 + "1]", "[f(1)]", "(" * 99 + ")" * 99])
def test_text_that_is_no_plain_value_is_not_parsed_at_all(text):
    from jobs.text.chat_messages import parse_text

    assert parse_text(text) is None
