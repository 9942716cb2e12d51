import math
import random

import pytest

from jobs.behaviour.scorers.lexicon import LexiconJudge
from jobs.text import lexicon


def test_log_odds_and_their_z_are_those_of_the_paper():
    """Monroe et al. 2008, equations 15, 20 and 22, by hand on two words."""
    ours, theirs = ["a a a b"], ["a b b b b b"]
    (found,) = [
        each
        for each in lexicon._compare_words(
            lexicon.Counter(lexicon.words_of(ours[0])), lexicon.Counter(lexicon.words_of(theirs[0]))
        )
        if each[0] == "a"
    ]
    prior_a, prior = 0.03 * 4, 0.03 * 10
    log_odds = math.log((3 + prior_a) / (4 + prior - 3 - prior_a)) - math.log(
        (1 + prior_a) / (6 + prior - 1 - prior_a)
    )
    deviation = math.sqrt(1 / (3 + prior_a) + 1 / (1 + prior_a))
    assert found == pytest.approx(("a", log_odds, log_odds / deviation))


def test_only_words_of_one_side_are_learned_and_the_surest_comes_first():
    draw = random.Random(0)
    words = [f"w{number}" for number in range(50)]
    shared = [" ".join(draw.choices(words, k=8)) for _ in range(400)]
    rejected = [f"{text} grumble" for text in shared[:200]]
    rejected[:40] = [f"{text} snarl" for text in rejected[:40]]
    assert lexicon.learn_toxic_words(rejected, shared[200:], 10) == ["grumble", "snarl"]
    assert lexicon.learn_toxic_words(rejected, shared[200:], 1) == ["grumble"]
    assert lexicon.learn_toxic_words(shared[:200], shared[200:], 10) == []


def test_a_word_seen_once_is_not_enough():
    assert lexicon.learn_toxic_words(["a b grumble"], ["a b"], 10) == []


def test_a_text_is_toxic_when_it_holds_the_whole_word():
    texts = ["You GRUMBLE!", "grumbles", "", "say grumble, now"]
    assert LexiconJudge(toxic_words=frozenset({"grumble"})).scores(texts) == [
        True,
        False,
        False,
        True,
    ]
