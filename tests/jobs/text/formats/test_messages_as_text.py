"""Lists of messages that became text are read or left out; code and JSON stay answers."""

import html
import json

import pytest

from cluster.errors import UserError
from jobs.text import format
from jobs.text.messages_as_text import messages_in
from jobs.text.rows.fault import RowFault
from tests.jobs.text.written_rows import written

FORMATS = ("prompt-chosen-rejected", "messages")
TURNS = [
    {"role": "user", "content": "why?"},
    {"role": "assistant", "content": "that's it, [see]"},
]
ORDERED = ", ".join(f"OrderedDict([('role', {t['role']!r}), ('content', 'x')])" for t in TURNS)
NOBODY_READS = {
    "JSON of JSON": json.dumps(json.dumps(TURNS)),
    "JSON of JSON, cut off": json.dumps(json.dumps(TURNS))[:-9],
    "JSON, cut off in a text": json.dumps(TURNS)[:-6],
    "JSON, cut off between messages": json.dumps([*TURNS, *TURNS]).partition("}, {")[0] + "}, ",
    "Python, cut off": repr(TURNS)[:-6],
    "cut off behind a long text": json.dumps([{**TURNS[0], "content": "x" * 40_000}])[:32_767],
    "escaped for a web page": html.escape(json.dumps(TURNS)),
    "behind a spreadsheet's mark of text": "'" + json.dumps(TURNS),
    "a tuple": repr(tuple(TURNS)),
    "with times": repr(TURNS).replace("}", ", 'at': datetime.datetime(2024, 1, 1)}"),
    "of a class": "[" + ", ".join(f"Message(role={t['role']!r}, content='x')" for t in TURNS) + "]",
    "of an enum": "[ChatMessage(role=<MessageRole.USER: 'user'>, content='x')]",
    "of a class each": "[HumanMessage(content='why?'), AIMessage(content='so')]",
    "ordered": f"[{ORDERED}]",
    "with typeset quotes": repr(TURNS[:1]).replace("'", "’"),
    "under a name": json.dumps({"messages": TURNS}),
    "under a name, cut off": json.dumps({"messages": TURNS})[:-9],
    "speakers as names": json.dumps([{t["role"]: t["content"]} for t in TURNS]),
    "pairs": repr([(t["role"], t["content"]) for t in TURNS]),
    "pairs, cut off": repr([(t["role"], t["content"]) for t in TURNS])[:-5],
    "a name that stands twice": '[{"role": "user", "content": "a", "content": "b"}]',
}
IN_LINES = "\n".join(map(json.dumps, TURNS))
HONEST = {
    "an object": '{"name": "x"}',
    "a call of a message": "print({'role': 'user', 'content': 'x'})",
    "a list": "[1, 2]",
    "an empty object": "{}",
    "a list of objects": '[{"name": "x", "role": "admin"}, {"name": "y", "role": "user"}]',
    "people with roles": '[{"id": 1, "role": "user"}, {"id": 2, "role": "user"}]',
    "a person, cut off": '[{"id": 1, "role": "user", "na',
    "a request to a service": json.dumps({"model": "m", "messages": TURNS}),
    "such a request, cut off": json.dumps({"model": "m", "messages": TURNS})[:-20],
    "a span": '{"from": "2020", "value": 5}',
    "a table": '[["user", "age"], ["bob", "3"]]',
    "one speaker": '[{"user": "bob"}, {"user": "eve"}]',
    "a list with words behind it": f"{TURNS!r} is what such a list looks like.",
    "code": "messages = [{'role': 'user', 'content': 'hi'}]",
    "code in a fence": f"```json\n{json.dumps(TURNS)}\n```",
    "a list of words": "[Verse 1]\nThe user said",
    "brackets": "(a) the user, (b) the assistant",
    "quoted speech": '"Well," said the user, "content: none"',
    "a call": "print({'role': 'user'})",
    "JSON that is broken": '{"name": "x", "role": "user", ',
}


def read(tmp_path, name, row):
    good = [{"prompt": f"ask {n}", "chosen": " yes", "rejected": " no"} for n in range(20)]
    return format.read("pairs", name, written(tmp_path / "rows.jsonl", [*good, row]), {})


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("form", NOBODY_READS)
@pytest.mark.parametrize("column", ["prompt", "rejected"])
def test_a_list_of_messages_that_cannot_be_read_costs_its_row(tmp_path, name, form, column):
    row = {"prompt": "ask", "chosen": "yes", "rejected": "no", column: NOBODY_READS[form]}
    reading = read(tmp_path, name, row)
    (dropped,) = reading.dropped
    assert (dropped.row, dropped.malformed, len(reading.items)) == (21, True, 20)
    assert repr(column) in dropped.reason


def test_a_list_that_is_cut_off_is_told_from_one_of_another_form():
    with pytest.raises(RowFault, match="cut off"):
        messages_in(NOBODY_READS["Python, cut off"], "'chosen'")
    with pytest.raises(RowFault, match="form that nothing reads"):
        messages_in(NOBODY_READS["pairs"], "'chosen'")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("form", HONEST)
def test_code_and_json_stay_the_texts_that_they_are(tmp_path, name, form):
    row = {"prompt": HONEST[form], "chosen": HONEST[form], "rejected": "no"}
    reading = read(tmp_path, name, row)
    assert not reading.dropped and reading.items[-1].chosen.strip() == HONEST[form].strip()
    assert HONEST[form].strip() in reading.items[-1].prompt


def test_messages_in_lines_are_named_where_text_is_read_and_read_where_messages_are(tmp_path):
    row = {"prompt": "why?", "chosen": IN_LINES, "rejected": "no"}
    (dropped,) = read(tmp_path, "prompt-chosen-rejected", row).dropped
    assert "format `messages`" in dropped.reason
    both = {"chosen": IN_LINES, "rejected": IN_LINES.replace("that's it", "not it")}
    path = written(tmp_path / "lines.jsonl", [both])
    (pair,) = format.read("pairs", "messages", path, {}).items
    assert (pair.chosen, pair.rejected) == (" that's it, [see]", " not it, [see]")


def test_a_list_of_messages_is_no_answer_of_prompt_answer(tmp_path):
    rows = [{"prompt": f"p{n}", "answer": " so"} for n in range(20)]
    path = written(tmp_path / "rows.jsonl", [*rows, {"prompt": "p", "answer": json.dumps(TURNS)}])
    reading = format.read("prompts", "prompt-answer", path, {})
    assert [each.row for each in reading.dropped] == [21]


TRANSCRIPTS = {
    "ChatML": "<|im_start|>user\nask<|im_end|>\n<|im_start|>assistant\n{}<|im_end|>\n",
    "Llama 2": "<s>[INST] ask [/INST] {} </s>",
    "Llama 3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nask<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{}",
    "Gemma": "<start_of_turn>user\nask<end_of_turn>\n<start_of_turn>model\n{}",
    "Zephyr": "<|user|>\nask</s>\n<|assistant|>\n{}",
    "headings": "### Human: ask### Assistant: {}",
    "instructions": "### Instruction:\nask\n\n### Response:\n{}",
    "HH-RLHF": "\n\nHuman: ask\n\nAssistant: {}",
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("form", TRANSCRIPTS)
def test_answers_that_are_transcripts_are_refused_with_the_way_on(tmp_path, name, form):
    marked = TRANSCRIPTS[form].format
    rows = [
        {"prompt": f"ask {n}", "chosen": marked(f"yes {n}"), "rejected": marked("no")}
        for n in range(9)
    ]
    path = written(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UserError, match="transcripts of turns in 9 of 9 rows") as caught:
        format.read("pairs", name, path, {})
    assert ("hh-rlhf" in caught.value.hint) == (form == "HH-RLHF")


@pytest.mark.parametrize("form", TRANSCRIPTS)
def test_a_prompt_in_a_templates_marks_has_answers_as_they_are(tmp_path, form):
    before, _, behind = TRANSCRIPTS[form].partition("{}")
    rows = [
        {"prompt": before, "chosen": f"yes {n}{behind}", "rejected": f"no{behind}"}
        for n in range(9)
    ]
    reading = format.read("pairs", FORMATS[0], written(tmp_path / "rows.jsonl", rows), {})
    assert len(reading.items) == 9 and reading.notes == ()
    assert reading.items[0].chosen == f"yes 0{behind}"


def test_an_answer_that_shows_a_transcript_stays_one_and_is_noted(tmp_path):
    shown = TRANSCRIPTS["ChatML"].format("hi")
    row = {"prompt": "show me ChatML", "chosen": shown, "rejected": shown + "."}
    reading = read(tmp_path, FORMATS[0], row)
    assert len(reading.items) == 21 and "in 1 of 21 rows" in reading.notes[0]


@pytest.mark.parametrize(
    ("role", "name", "column", "options"),
    [
        ("labelled", "jigsaw", "comment_text", {}),
        ("prompts", "text", "text", {"held_out": 0, "prompt_words": 2}),
        ("prompts", "document", "text", {}),
        ("prompts", "realtoxicityprompts", "prompt", {}),
        ("prompts", "prompt-answer", "answer", {}),
    ],
)
@pytest.mark.parametrize("as_text", [json.dumps, repr])
def test_a_list_of_messages_is_text_in_no_format(tmp_path, role, name, column, options, as_text):
    others = {"toxic": 0, "prompt": "so", "answer": "so"}
    path = written(tmp_path / "texts.jsonl", [{**others, column: as_text(TURNS)}] * 3)
    with pytest.raises(UserError) as fault:
        format.read(role, name, path, options, 0.1)
    assert f"'{column}' is a list of messages as text" in fault.value.error
