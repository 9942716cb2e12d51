"""Of many texts a plan tries the first ones, reads them once, and says that there are more."""

from types import SimpleNamespace

import pytest

from jobs.kind import Upstream
from jobs.text.planned import Planned
from jobs.text.reading import Pair, Prompt, Segment
from jobs.text.untouched import note_on_untouched
from jobs.tokens.first_tokens import FirstTokens
from jobs.tokens.long_prompts import notes_on_long_prompts
from jobs.tokens.moved_borders import TEXT, note_on_borders
from jobs.tokens.planned_tokenizer import planned_tokenizer
from jobs.tokens.planned_tokens import check_prompts, check_prompts_of_pair
from jobs.training.planning.refused_pairs import notes_on_pairs

MANY, TRIED = 6_000, ", as far as 5000 of them show"
LONG = "word1 " * 40
TEMPLATE = "{% for m in messages %}<end> word1 {{ m['content'] }} word1 {% endfor %}"


@pytest.fixture
def model(tmp_path, tiny_model, word_tokenizer):
    """A model of 32 positions, as a plan knows it."""
    tokenizer = word_tokenizer(eos_token="<end>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(tmp_path / "model")
    tiny_model("llama", max_positions=32).save_pretrained(tmp_path / "model")
    source = {"source": str(tmp_path / "model")}
    return Upstream(kind="pretrained", params=source, facts=None, files={}, inputs={})


@pytest.fixture
def many(tmp_path):
    """A function: item of a number, how many -> what is planned, and how often it was read."""

    def build(item, count=MANY):
        readings = []

        def read():
            readings.append(count)
            return [item(number) for number in range(count)]

        return Planned(params=f"{tmp_path} {count}", read=read), readings

    return build


def line(number):
    text = LONG if number % 1000 == 0 else "word2 <end>"
    segments = [{"role": "prompt", "text": text}, {"role": "response", "text": "word3"}]
    return {"prompt": number, "group": 0, "segments": segments}


def pair(number):
    """Two pairs of each row; the first one of a row may be long, or hold a mark."""
    text = LONG if number % 1000 == 0 else "word2"
    turns = (Segment(role="user", text=text),)
    chosen = "word4 <end>" if number == 10 else "word4"
    return Pair(row=number // 2 + 1, prompt=text, turns=turns, chosen=chosen, rejected="word3")


@pytest.mark.parametrize("template", [None, TEMPLATE])
def test_long_prompts_are_counted_among_all_that_there_are(model, many, template):
    prompts, readings = many(line)
    tokenizer = planned_tokenizer(model)
    for longest in (30, 31):
        (note,) = notes_on_long_prompts(
            prompts, tokenizer, template, first=FirstTokens(), longest=longest
        )
        assert note.startswith(f"5 of {MANY} prompts are left out{TRIED}: longer than")
    assert check_prompts(prompts, model) == ()
    marks, opening = check_prompts_of_pair(prompts, model, model, "chat")
    assert "begins no answer" in opening and "'<end> word1'" in opening
    assert f"(4995 prompts) hold <end>{TRIED}, which" in marks
    assert len(readings) == 1


def test_all_of_few_are_counted_without_a_word(model, many):
    prompts, _ = many(line, count=50)
    tokenizer = planned_tokenizer(model)
    (note,) = notes_on_long_prompts(prompts, tokenizer, None, first=FirstTokens(), longest=30)
    assert note.startswith("1 of 50 prompts are left out: longer than")


def scored(**changed):
    fixed = {"template": "none", "max_dropped": 0.1, "max_length": None, "end_of_text": False}
    return SimpleNamespace(**{**fixed, **changed})


def test_pairs_are_counted_among_all_that_there_are(model, many):
    pairs, readings = many(pair)
    (cut,) = notes_on_pairs(scored(), pairs, model)
    assert cut.startswith(f"5 of {MANY} pairs are cut to 32 tokens{TRIED}, prompts at")
    (cut,) = notes_on_pairs(scored(max_length=31), pairs, model)
    assert f"cut to 31 tokens{TRIED}" in cut
    assert len(readings) == 1


def test_every_pair_of_a_row_is_looked_at(model, many):
    pairs, _ = many(pair, count=20)
    marks, *_ = notes_on_pairs(scored(template="chat"), pairs, model)
    assert marks.startswith("the texts of row 6 hold <end>, which")  # its second pair has none


def test_borders_of_some_say_that_there_are_more():
    (note,) = note_on_borders({TEXT: [3, 3, 7]}, 5_000, MANY, "row")
    assert note == (
        f"in 3 of {MANY} pairs a token reaches over a border and counts as what follows{TRIED} "
        f"({TEXT}: rows 3, 7)"
    )


def test_prompts_that_a_transform_leaves_are_counted_among_all_that_there_are():
    segments = (Segment(role="prompt", text="сосед"),)
    prompts = [Prompt(row=n, source=str(n), segments=segments) for n in range(MANY)]
    (note,) = note_on_untouched(prompts, "rot13", 0)
    assert note.startswith(f"rot13 leaves 5000 of {MANY} prompts as they are{TRIED}, which")
