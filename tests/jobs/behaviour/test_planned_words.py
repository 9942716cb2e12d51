"""What a plan says of the cost of word masses follows what the study asks for."""

import re

import pytest

from jobs.kind import KINDS, Upstream
from tests.jobs.words.texts import pieces

TEXT = "the alder grew by the water, and alders are no elders; Alder said so, yews! " * 3


def upstream(kind, **params):
    written = KINDS.find(kind).Params(**params).model_dump(mode="json")
    return Upstream(kind=kind, params=written, facts=None, files={}, inputs={})


@pytest.fixture
def planned(tmp_path, tiny_model):
    """A function: params of `behave` or `intervene` -> its note on words."""
    tokenizer = pieces(TEXT)
    model = tiny_model("gpt2", vocab_size=len(tokenizer))
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    texts = tmp_path / "prompts.txt"
    texts.write_text("\n\n".join(f"the water number {n} " * 9 for n in range(40)))
    base = upstream("pretrained", source=str(tmp_path / "model"))
    prompts = upstream("prompts", format="text", source=str(texts))

    def note(kind="behave", num_words=200, **params):
        pairs = upstream("pairs", format="generic", source="x.jsonl", max_toxic_words=num_words)
        inputs = {"model": base, "base": base, "aligned": base, "prompts": prompts}
        entry = KINDS.find(kind)
        notes = entry.notes(entry.Params(**params), {**inputs, "lexicon": pairs})
        (found,) = [text for text in notes if text.startswith("toxic_mass")]
        return found

    return note


def test_the_length_of_the_list_and_what_may_be_left_decide(planned):
    text = planned()
    assert "of 200 words" in text and "at most 0.01 of the mass is left" in text
    assert re.search(r"for 12 prompts up to about 2,000", text)  # the others are held out

    def tokens(**params):
        return float(
            re.search(r"up to about ([\d,]+) tokens", planned(**params))[1].replace(",", "")
        )

    assert tokens(num_words=400) == pytest.approx(2 * tokens(), rel=0.1)
    assert tokens(most_uncounted=0.1) < tokens() < tokens(most_uncounted=0.001)
    assert tokens(most_uncounted=0.001) < tokens(most_uncounted=0) < 200 * 4
    assert tokens(word_ends="required") > 1.5 * tokens()


def test_an_intervention_counts_its_passes(planned):
    text = planned("intervene", intervention="subtract-direction", doses=[1, 2], random_controls=3)
    assert "for 10 passes over 12 prompts up to about 20,000" in text
