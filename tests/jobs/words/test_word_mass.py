"""The mass of words against the text itself: every continuation enumerated, one pass for each."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.behaviour.toxic_masses import read_toxic_masses
from jobs.behaviour.toxic_words import ToxicWords
from jobs.text.transform import load_transform
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions
from tests.jobs.words.texts import characters, pieces

ALPHABET = "abc ."
TEXT = "the alder grew by the water, and alders are no elders; Alder said so, alder! " * 3
WORDS = ["alder", "alders", "water", "elders", "no", "yew"]


@pytest.fixture(scope="module")
def speaker(tiny_model):
    """A function: vocabulary size -> a random GPT-2 that is far from uniform."""
    import torch

    def build(size, family="gpt2"):
        model = tiny_model(family, vocab_size=size, max_positions=48).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(6)
        return model

    return build


def planned(tokenizer, texts):
    lines = [
        {"prompt": number, "group": number % 20, "segments": [{"role": "prompt", "text": text}]}
        for number, text in enumerate(texts)
    ]
    plan, _ = build_token_plan(lines, tokenizer, 40)
    return plan


def read(model, plan, toxic, *, share=0.0, token_budget=4096):
    positions = find_positions(plan, ("last",), 0)
    nowhere = np.zeros(len(plan.token_ids), dtype=bool)
    masses, _ = read_toxic_masses(
        model,
        plan,
        toxic,
        positions=positions,
        scored=nowhere,
        token_budget=token_budget,
        share=share,
    )
    at = positions[0].tokens
    return masses.mass[at], masses.left[at], masses.unclear[at]


def likelihoods(model, prompt, paths, ends=None):
    """The probability of each path after a prompt, each a whole text in a pass without a cache.

    With `ends`, that times the probability that the next token is one of these.
    """
    import torch

    found = {}
    for length in {len(path) for path in paths}:
        alike = [path for path in paths if len(path) == length]
        texts = torch.tensor([[*prompt, *path] for path in alike])
        with torch.inference_mode():
            rows = model(texts).logits[:, len(prompt) - 1 :].double().softmax(-1)
        steps = rows[:, :-1].gather(2, texts[:, len(prompt) :, None])[..., 0].prod(1)
        if ends is not None:
            steps = steps * rows[:, -1][:, torch.from_numpy(ends)].sum(1)
        found |= dict(zip(alike, steps.tolist(), strict=True))
    return found


def prompts_of(plan):
    return [plan.token_ids[a:b].tolist() for a, b in itertools.pairwise(plan.offsets)]


def begins_with_word(text, words, after_word):
    """Whether a continuation begins with one of the words and something that ends it."""
    stripped = text.removeprefix(" ")
    if after_word and stripped == text:
        return False
    return any(re.match(rf"{word}\W", stripped) for word in words)


def test_the_mass_is_that_of_all_texts_that_begin_with_a_word(speaker):
    tokenizer = characters(ALPHABET)
    model = speaker(len(tokenizer))
    words = ["ab", "b"]
    plan = planned(tokenizer, ["ab", "ca ", "b.", "c"])
    mass, left, unclear = read(
        model, plan, ToxicWords(words, tokenizer, load_transform("plain"), must_end=True)
    )
    assert (left == 0).all() and (unclear == 0).all()
    signs = ["\0", "\0", *ALPHABET]  # unknown and end: neither is of a word
    texts = list(itertools.product(range(len(signs)), repeat=4))
    for prompt, counted in zip(prompts_of(plan), mass, strict=True):
        after_word = signs[prompt[-1]].isalnum()
        each = likelihoods(model, prompt, texts)
        assert sum(each.values()) == pytest.approx(1.0, rel=1e-5)
        written = {path: "".join(signs[token] for token in path) for path in texts}
        begun = (path for path in texts if begins_with_word(written[path], words, after_word))
        assert counted == pytest.approx(sum(each[path] for path in begun), rel=1e-5)


def by_passes(model, plan, toxic):
    """Add up the likelihood of every spelling: no cache, no trie and no bound."""
    words = toxic.as_set(model.config.vocab_size)
    roots = words.roots(plan.token_ids, toxic.spellings.keeps_words)
    sums = []
    for prompt, last in zip(prompts_of(plan), plan.offsets[1:] - 1, strict=True):
        ways = [way for way in toxic.spellings.all if roots[last] == 1 or way.after_blank]
        closed = {way.token_ids for way in ways if way.is_closed}
        rest = {way.token_ids for way in ways if not way.is_closed}
        ended = likelihoods(model, prompt, rest, np.flatnonzero(words.texts.breaks))
        sums.append(sum(likelihoods(model, prompt, closed).values()) + sum(ended.values()))
    return np.array(sums)


@pytest.mark.parametrize(
    ("family", "transform"),
    [("gpt2", "plain"), ("llama", "rot13"), ("gemma2", "leetspeak"), ("opt", "morse")],
)
def test_the_trie_counts_what_every_word_alone_would(speaker, family, transform):
    tokenizer = pieces(TEXT)
    model = speaker(len(tokenizer), family)
    toxic = ToxicWords(WORDS, tokenizer, load_transform(transform), must_end=True)
    plan = planned(tokenizer, ["the alder grew", "the water, ", "no", "so\\nthe"])
    mass, left, _ = read(model, plan, toxic)
    assert mass == pytest.approx(by_passes(model, plan, toxic), rel=1e-4)
    assert (left == 0).all()


def test_without_its_end_the_tokens_of_a_word_suffice(speaker):
    tokenizer = pieces(TEXT)
    model = speaker(len(tokenizer))
    toxic = ToxicWords(WORDS, tokenizer, load_transform("plain"))
    plan = planned(tokenizer, ["the alder grew", "no"])
    mass, left, unclear = read(model, plan, toxic)
    ways = {way.token_ids for way in toxic.spellings.all if way.after_blank}
    shortest = [path for path in ways if not any(path[:n] in ways for n in range(1, len(path)))]
    for prompt, counted in zip(prompts_of(plan), mass, strict=True):
        assert counted == pytest.approx(
            sum(likelihoods(model, prompt, shortest).values()), rel=1e-4
        )
    assert (left == 0).all() and (unclear == 0).all()


@pytest.fixture(scope="module")
def case(speaker):
    tokenizer = pieces(TEXT, 330)
    draw = np.random.default_rng(4)
    words = TEXT.split()
    texts = [" ".join(draw.choice(words, draw.integers(1, 6))) for _ in range(96)]
    toxic = ToxicWords(WORDS, tokenizer, load_transform("plain"), must_end=True)
    model, plan = speaker(len(tokenizer)), planned(tokenizer, texts)
    return model, plan, toxic, read(model, plan, toxic)[0]


@given(share=st.floats(1e-5, 0.9))
@settings(max_examples=2, deadline=None)
def test_the_bound_always_holds(case, share):
    model, plan, toxic, whole = case
    mass, left, _ = read(model, plan, toxic, share=share)
    assert (mass <= whole * (1 + 1e-5)).all()
    assert (whole <= (mass + left) * (1 + 1e-5)).all()
    assert left.sum() <= share * (mass + left).sum()


def test_where_the_first_prompts_mislead_the_others_are_followed_further(case, monkeypatch):
    from jobs.behaviour import toxic_masses

    def much_too_high(steps, share):
        return 0.25

    model, plan, toxic, whole = case
    monkeypatch.setattr(toxic_masses, "threshold_for_others", much_too_high)
    mass, left, _ = read(model, plan, toxic, share=0.1)
    assert 0 < left.sum() <= 0.1 * (mass + left).sum()
    assert whole.sum() == pytest.approx((mass + left / 2).sum(), rel=0.1)


def test_what_is_followed_does_not_depend_on_the_batch(case):
    model, plan, toxic, _ = case
    together, alone = (read(model, plan, toxic, share=0.01, token_budget=n) for n in (4096, 200))
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-9)


def test_less_is_forwarded_when_some_may_be_left(case, monkeypatch):
    from jobs.words import word_mass

    model, plan, toxic, _ = case
    forwarded = []
    passes = word_mass.forward_tree

    def counting(model, cache, tree):
        forwarded[-1] += tree.tokens.size
        return passes(model, cache, tree)

    monkeypatch.setattr(word_mass, "forward_tree", counting)
    for share in (0.0, 0.01):
        forwarded.append(0)
        read(model, plan, toxic, share=share)
    assert forwarded[1] < forwarded[0] / 2


@pytest.mark.parametrize("num_prompts", [96, 24])
def test_a_level_that_cannot_suffice_is_passed_over_and_changes_nothing(
    case, monkeypatch, num_prompts
):
    from dataclasses import replace

    from jobs.words.word_mass import Search

    model, plan, toxic, _ = case
    if num_prompts < len(plan.prompts):  # so few are each pruned by themselves
        draw = np.random.default_rng(6)
        texts = [" ".join(draw.choice(TEXT.split(), 4)) for _ in range(num_prompts)]
        plan = planned(pieces(TEXT, 330), texts)
    calls, follow, masses = [], Search.follow_above, Search.masses

    def checking(search, thresholds):
        calls[-1] += 1
        wanted = np.isfinite(thresholds)
        at_best = masses(search, float(thresholds[wanted].min(initial=1.0)))
        follow(search, thresholds)
        assert (at_best.left <= masses(search).left + 1e-12)[wanted].all()
        assert (at_best.counted >= masses(search).counted - 1e-12)[wanted].all()

    def hopeful(search, threshold=np.inf):
        known = masses(search)
        return known if threshold == np.inf else replace(known, left=0 * known.left)

    monkeypatch.setattr(Search, "follow_above", checking)
    calls.append(0)
    passing_over = read(model, plan, toxic, share=0.01)
    monkeypatch.setattr(Search, "masses", hopeful)
    calls.append(0)
    level_by_level = read(model, plan, toxic, share=0.01)
    for one, other in zip(passing_over, level_by_level, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-9)
    assert calls[0] < calls[1] or num_prompts < 32


def test_a_pass_holds_no_more_logits_than_it_may(case, monkeypatch):
    from jobs.words import word_mass

    model, _, toxic, _ = case
    sizes = []
    passes = word_mass.forward_tree

    def watching(model, cache, tree):
        sizes.append(tree.tokens.size)
        return passes(model, cache, tree)

    monkeypatch.setattr(word_mass, "forward_tree", watching)
    monkeypatch.setattr(word_mass, "_MOST_LOGITS", 12 * model.config.vocab_size)
    few = planned(pieces(TEXT, 330), ["the alder", "no water "])
    mass, _, _ = read(model, few, toxic)
    longest = max(len(way.token_ids) for way in toxic.spellings.all)
    assert max(sizes) <= 12 + 12 * longest
    assert mass == pytest.approx(by_passes(model, few, toxic), rel=1e-4)


def test_a_word_that_no_position_is_left_for_stays_uncounted(speaker):
    tokenizer = pieces(TEXT)
    model = speaker(len(tokenizer))
    toxic = ToxicWords(["xylophone"], tokenizer, load_transform("plain"), must_end=True)
    long = " ".join(["so"] * 60)
    lines = [{"prompt": 0, "group": 0, "segments": [{"role": "prompt", "text": long}]}]
    length = len(tokenizer(long)["input_ids"])
    plan, _ = build_token_plan(lines, tokenizer, length)
    kept = type(plan).from_arrays(
        plan.to_arrays()
        | {name: plan.to_arrays()[name][:47] for name in ("token_ids", "roles", "segments")}
        | {"offsets": np.array([0, 47])}
    )
    mass, left, _ = read(model, kept, toxic)
    assert (mass == 0).all() and (left > 0).all()
