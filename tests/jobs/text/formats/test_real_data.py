"""The real files, where they are: counts and invariants only, no text is shown or kept."""

import pytest

from jobs.text import format
from jobs.text.buckets import group_of
from tests.not_tested import REAL_DATA

PARADETOX = REAL_DATA / "paradetox" / "paradetox.tsv"
pytestmark = pytest.mark.real_data


def test_paradetox_is_read_whole():
    reading = format.read("texts", "paradetox", PARADETOX, {"held_out": 0})
    assert len(reading.items) > 30_000
    assert not reading.dropped


def test_paradetox_gives_thousands_of_pairs_and_disjoint_prompts():
    pairs = format.read("pairs", "paradetox", PARADETOX, {}).items
    prompts = format.read("prompts", "paradetox", PARADETOX, {}).items
    assert len(pairs) > 3_000 and len(prompts) > 1_000
    assert not {pair.prompt for pair in pairs} & {prompt.source for prompt in prompts}
    assert all(len(pair.prompt.split()) >= 3 for pair in pairs)


def test_words_learned_from_training_pairs_tell_held_out_sides_apart():
    from jobs.behaviour.scorers.lexicon import LexiconJudge
    from jobs.text.lexicon import learn_toxic_words

    pairs = format.read("pairs", "paradetox", PARADETOX, {}).items
    everything = format.read("pairs", "paradetox", PARADETOX, {"held_out": 0}).items
    trained = {pair.row for pair in pairs}
    unseen = [pair for pair in everything if pair.row not in trained]
    words = frozenset(
        learn_toxic_words([p.rejected for p in pairs], [p.chosen for p in pairs], 200)
    )
    judge = LexiconJudge(toxic_words=words)
    rejected = sum(judge.scores([pair.rejected for pair in unseen])) / len(unseen)
    chosen = sum(judge.scores([pair.chosen for pair in unseen])) / len(unseen)
    assert rejected > 0.6 and chosen < 0.03


def test_prompts_that_elicit_toxicity_are_read_from_all_files():
    found = format.read(
        "prompts", "realtoxicityprompts", REAL_DATA / "realtoxicityprompts", {}
    ).items
    assert len(found) == 700
    assert {group_of(prompt.source) for prompt in found} == set(range(20))


def test_wikitext_gives_texts_and_prompts():
    source = REAL_DATA / "wikitext-2" / "valid.txt"
    assert len(format.read("texts", "text", source, {}).items) > 1_000
    assert len(format.read("prompts", "text", source, {}).items) > 100
