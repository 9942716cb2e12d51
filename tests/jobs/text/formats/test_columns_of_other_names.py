"""Columns that nearly have our names, or say what nobody asks them, are never passed over."""

import pyarrow
import pyarrow.parquet
import pytest

from cluster.errors import UserError
from jobs.text import format
from tests.jobs.text.written_rows import said, written

SIDES = {"chosen": "Sure I can help", "rejected": "Sure I can not"}
PLAIN = "prompt-chosen-rejected"


def refused(path, name=PLAIN, **options):
    with pytest.raises(UserError) as caught:
        format.read("pairs", name, path, options)
    return caught.value


@pytest.mark.parametrize(
    "column",
    ["Prompt", "PROMPT", " prompt ", "\u200bprompt", "\ufeffprompt", "Prompt_Text", "post"],
)
def test_a_prompt_under_nearly_its_name_is_not_replaced_by_what_both_sides_open_with(
    tmp_path, column
):
    path = written(tmp_path / "rows.jsonl", [{column: "why?", **SIDES}])
    fault = refused(path)
    assert fault.error == "missing column prompt" and repr(column) in fault.hint
    (pair,) = format.read("pairs", PLAIN, path, {"columns": {"prompt": column}}).items
    assert (pair.prompt, pair.chosen) == ("why?", "Sure I can help")


def test_a_prompt_of_nearly_its_name_is_seen_in_parquet_whose_other_columns_are_not_read(tmp_path):
    table = pyarrow.Table.from_pylist([{"Prompt": "why?", **SIDES}])
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    assert "{prompt: Prompt}" in refused(tmp_path / "rows.parquet").hint


def test_where_openings_become_prompts_the_columns_that_nothing_reads_are_noted(tmp_path):
    path = written(tmp_path / "rows.jsonl", [{"title": "why?", **SIDES}])
    (note,) = format.read("pairs", PLAIN, path, {}).notes
    assert "both sides open with" in note and "title" in note
    alone = written(tmp_path / "alone.jsonl", [SIDES])
    assert format.read("pairs", PLAIN, alone, {}).notes == ()


@pytest.mark.parametrize("column", ["System", "system prompt", "Prompt", "Conversations"])
def test_optional_columns_of_messages_are_not_passed_over_for_their_case(tmp_path, column):
    whole = {side: [said("user", "ask"), said("assistant", side)] for side in SIDES}
    fault = refused(written(tmp_path / "rows.jsonl", [{column: "be kind", **whole}]), "messages")
    assert fault.error.startswith("missing column") and repr(column) in fault.hint


@pytest.mark.parametrize("column", ["input", "Instruction", "query"])
@pytest.mark.parametrize("kind", ["text", "messages"])
def test_answers_that_nobody_asks_for_are_told_which_column_asks(tmp_path, column, kind):
    sides = {
        side: text if kind == "text" else [said("assistant", text)] for side, text in SIDES.items()
    }
    path = written(tmp_path / "rows.jsonl", [{column: "ask", **sides}])
    fault = refused(path, "messages")
    assert fault.error == "missing column prompt" and f"{{prompt: {column}}}" in fault.hint
    (pair,) = format.read("pairs", "messages", path, {"columns": {"prompt": column}}).items
    assert pair.prompt == "\n\nHuman: ask\n\nAssistant:"


def test_whole_conversations_may_stand_beside_a_column_that_repeats_what_they_ask(tmp_path):
    whole = {side: [said("user", "ask"), said("assistant", side)] for side in SIDES}
    path = written(tmp_path / "rows.jsonl", [{"input": "ask", **whole}])
    assert len(format.read("pairs", "messages", path, {}).items) == 1


def test_an_optional_column_that_a_study_names_and_no_file_has_is_missing(tmp_path):
    whole = {side: [said("user", "ask"), said("assistant", side)] for side in SIDES}
    path = written(tmp_path / "rows.jsonl", [{"sys": "be kind", **whole}])
    fault = refused(path, "messages", columns={"system": "syss"})
    assert fault.error == "missing column syss" and "sys" in fault.hint


def test_needed_columns_of_nearly_their_names_are_named(tmp_path):
    path = written(tmp_path / "rows.jsonl", [{"Prompt": "p", "Chosen": " a", "Rejected": " b"}])
    assert "{chosen: Chosen, rejected: Rejected}" in refused(path).hint


NUMBERED = {
    "safety": {"response_0": " a", "response_1": " b", "better_response_id": 1},
    "posts": {"human_ref_A": " a", "human_ref_B": " b", "labels": 0, "score_A": 1, "score_B": 2},
    "arena": {"model_a": "x", "model_b": "y", "answer_a": " a", "answer_b": " b", "winner": "y"},
    "scores": {"answer_0": " a", "answer_1": " b", "score_0": 0.1, "score_1": 0.2},
}


@pytest.mark.parametrize(
    "form, deciding, first",
    [
        ("safety", "better_response_id", "response_0"),
        ("posts", "labels", "human_ref_A"),
        ("arena", "winner", "answer_a"),
        ("scores", "score_0", "answer_0"),
    ],
)
def test_answers_that_another_column_puts_in_order_are_refused_with_how_to(
    tmp_path, form, deciding, first
):
    path = written(tmp_path / "rows.jsonl", [{"prompt": "p", **NUMBERED[form]}])
    hint = refused(path).hint
    assert f"'{deciding}'" in hint and f"rows['chosen'] = rows['{first}']" in hint
    assert "{chosen: NAME}" not in hint


@pytest.mark.parametrize(
    "row, way_on",
    [
        ({"completion": " a", "label": True}, "join a preferred and another answer"),
        ({"answers": [{"answer": "a", "rank": 1.0}]}, "a row for each two of them"),
    ],
)
def test_answers_that_are_no_two_a_row_are_refused_with_how_to(tmp_path, row, way_on):
    assert way_on in refused(written(tmp_path / "rows.jsonl", [{"prompt": "p", **row}])).hint


def test_sides_that_a_study_names_past_the_column_that_orders_them_are_noted(tmp_path):
    path = written(tmp_path / "rows.jsonl", [{"prompt": "p", **NUMBERED["safety"]}])
    columns = {"chosen": "response_0", "rejected": "response_1"}
    (note,) = format.read("pairs", PLAIN, path, {"columns": columns}).notes
    assert "'better_response_id'" in note and "ordered by it first" in note


def test_a_label_beside_sides_of_their_own_names_is_no_matter(tmp_path):
    rows = [{"prompt": "p", "chosen": " a", "rejected": " b", "label": 1, "score": 2}]
    assert format.read("pairs", PLAIN, written(tmp_path / "rows.jsonl", rows), {}).notes == ()


def test_an_option_that_names_a_column_of_nearly_that_name_is_corrected_under_our_name(tmp_path):
    path = written(tmp_path / "rows.jsonl", [{"prompt": "why?", "good": "a", "rejected": "b"}])
    fault = refused(path, columns={"chosen": "Good"})
    assert fault.error == "missing column Good" and "{columns: {chosen: good}}" in fault.hint


def test_a_column_beside_the_one_that_stands_for_it_is_no_near_name(tmp_path):
    sides = {side: [said("assistant", text)] for side, text in SIDES.items()}
    row = {"prompt": [said("user", "why?")], "Question": "Q17", **sides}
    (pair,) = format.read("pairs", "messages", written(tmp_path / "rows.jsonl", [row]), {}).items
    assert "why?" in pair.prompt and "Q17" not in pair.prompt
    fault = refused(written(tmp_path / "other.jsonl", [{**row, "System": "kind"}]), "messages")
    assert fault.error == "missing column system"
