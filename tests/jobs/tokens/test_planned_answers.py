"""A plan says at which tokens of answers no prompt will give a row."""

import pytest

from cluster.errors import UserError
from jobs.text.planned import Planned
from jobs.tokens.begun_replies import notes_on_prefill
from jobs.tokens.first_tokens import FirstTokens
from jobs.tokens.plan import build_token_plan
from jobs.tokens.planned_answers import notes_on_positions, planned_answers
from jobs.tokens.planned_tokenizer import planned_tokenizer
from jobs.tokens.positions import find_positions
from tests.jobs.tokens.test_begun_replies import line, prompts_upstream

ALL = FirstTokens()
ASKED = ("last", "response", "response-0", "response-2", "response-128")


def planned(*lines, params="some"):
    return Planned(params=params, read=lambda: list(lines))


def of_bytes(*lines):
    return planned_answers(planned(*lines, params=str(lines)), None)


SHORT = line(0, "a b", " x y z"), line(1, "a", " x")


def test_depths_that_no_answer_reaches_are_named():
    (note,) = notes_on_positions(["last", "response-depths"], ALL, of_bytes(*SHORT))
    named = "response-8, response-16, response-32, response-64, response-128"
    assert note.startswith(f"no prompt has a token at {named}, where")
    assert note.endswith("no answer has more than 6 bytes")
    assert notes_on_positions(["response-2", "response"], ALL, of_bytes(*SHORT)) == ()


def test_prompts_without_answers_have_rows_at_none_of_their_tokens():
    bare = of_bytes(line(0, "a b", roles=("prompt",)))
    (note,) = notes_on_positions(ASKED, ALL, bare)
    assert "at response, response-0, response-2, response-128, where" in note
    assert note.endswith("the prompts have no answers")
    with pytest.raises(UserError, match="no prompt has a token at response-128, turn: .*dialogues"):
        notes_on_positions(["response-128", "turn"], ALL, bare)


def test_what_is_cut_off_or_begun_has_no_rows():
    cut, begun = FirstTokens(of_answer=2), FirstTokens(begun=5)
    (note,) = notes_on_positions(["last", "response-2", "response-1"], cut, of_bytes(*SHORT))
    assert "at response-2, where" in note and "more than 2 tokens" in note
    (note,) = notes_on_positions(["response-1", "response-0"], begun, of_bytes(*SHORT))
    assert "at response-1, where" in note and "6 bytes, 5 of them begun" in note


def test_texts_that_are_not_here_and_turns_of_dialogues_are_passed_over():
    assert notes_on_positions(["response-128"], ALL, planned_answers(Planned(), None)) == ()
    asked = line(0, "a b", "c", roles=("user", "assistant"))
    assert notes_on_positions(["turn", "response"], ALL, of_bytes(asked)) == ()


@pytest.mark.parametrize("begun", [0, 1])
def test_the_plan_names_what_the_job_will_not_find(begun, tmp_path, tiny_model, word_tokenizer):
    tiny_model("gpt2").save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    from jobs.kind import Upstream

    source = {"source": str(tmp_path)}
    model = Upstream(kind="pretrained", params=source, facts=None, files={}, inputs={})
    lines = [line(0, "word1 word2", " word3 word4"), line(1, "word1", " word5")]
    answers = planned_answers(planned(*lines, params="model"), planned_tokenizer(model))
    assert answers.unit == "tokens"
    first = FirstTokens(begun=begun)
    tokens, _ = build_token_plan(lines, word_tokenizer(), 100, first=first)
    found = {position.label for position in find_positions(tokens, ASKED, 0)}
    (note,) = notes_on_positions(ASKED, first, answers)
    named = note.removeprefix("no prompt has a token at ").split(", where")[0].split(", ")
    assert set(named) == set(ASKED) - found and answers.num_short(2) == 1


@pytest.mark.parametrize("tokens", [7, 999])
def test_a_reply_longer_than_any_answer_is_refused_before_a_model_is_there(tokens):
    asked = prompts_upstream(answer="rejected")
    with pytest.raises(UserError, match=f"has the {tokens} tokens .* 2 has 6 bytes"):
        notes_on_prefill(tokens, asked, planned(*SHORT), None)
    (note,) = notes_on_prefill(4, asked, planned(*SHORT), None)
    assert note.startswith("1 of 2 prompts have answers of under 4 bytes and are left out")
    assert notes_on_prefill(2, asked, planned(*SHORT), None) == ()
