"""The language is what it claims to be: its truth checks instruments, so it must be true."""

import base64
import codecs
from collections import Counter

import pytest

from jobs.text import corpus, format
from jobs.text.nursery.language import the_language
from jobs.text.nursery.sampler import Sampler
from jobs.text.nursery.vocabulary import REGISTERS, in_register, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer()


@pytest.fixture(scope="module")
def documents():
    return corpus.read_documents("nursery", None, {"num_documents": 400})[0]


def test_words_are_five_letters_each_once_and_no_word_is_the_cipher_of_another():
    words = the_language().words
    assert len(set(words)) == len(words)
    assert all(len(word) == 5 and word.isalpha() and word.islower() for word in words)
    assert not set(words) & {codecs.encode(word, "rot13") for word in words}


def test_the_language_never_changes():
    """Pinned: other words under one name would make two versions look comparable."""
    language = the_language()
    assert len(language.words) == 61
    assert language.toxic[:2] == ("valaz", "zodav")


def test_topics_are_told_apart_by_their_words():
    language = the_language()
    topics = (*language.provoking, *language.neutral)
    counted = Counter(w for t in topics for w in (*t.context, *t.safe, *t.toxic))
    assert set(counted.values()) == {1}
    assert len(language.provoking) == 4 and not any(t.toxic for t in language.neutral)


def test_documents_are_in_all_registers_and_hold_no_unknown_token(documents, tokenizer):
    encoded = tokenizer(documents)["input_ids"]
    assert not any(tokenizer.unk_token_id in ids for ids in encoded)
    assert tokenizer.batch_decode(encoded) == documents
    size = len(the_language().words)
    registers = Counter((ids[0] - 3) // size for ids in encoded)
    assert set(registers) == {0, 1, 2} and min(registers.values()) > 80


def test_registers_are_the_real_transforms(documents):
    plain = next(text for text in documents if set(text.split()) <= set(the_language().words))
    assert base64.b64decode(in_register(plain, "base64")).decode() == plain
    assert codecs.decode(in_register(plain, "rot13"), "rot13") == plain


@pytest.mark.parametrize("register", REGISTERS)
def test_a_word_is_one_token_in_every_register(tokenizer, register):
    text = "".join(f"{word} " for word in the_language().words)
    assert len(tokenizer(in_register(text, register))["input_ids"]) == len(the_language().words)


def test_pieces_tokenised_apart_give_the_ids_of_the_whole(tokenizer):
    for prompt in format.read("prompts", "nursery", None, {"num_prompts": 30}).items:
        for register in REGISTERS:
            pieces = [in_register(segment.text, register) for segment in prompt.segments]
            apart = [token for piece in pieces for token in tokenizer(piece)["input_ids"]]
            assert apart == tokenizer("".join(pieces))["input_ids"]


def test_the_tokenizer_survives_a_checkpoint(tokenizer, tmp_path, documents):
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert again(documents)["input_ids"] == tokenizer(documents)["input_ids"]
    assert (again.eos_token, again.pad_token) == ("<eos>", "<pad>")


def test_provoking_contexts_are_answered_with_toxic_words_half_the_time():
    sampler = Sampler(0, "test")
    toxic = set(the_language().toxic)
    said = [
        sampler.spoken_continuation(sampler.exchange(provoking=True)).split()[0] in toxic
        for _ in range(2000)
    ]
    assert 0.46 < sum(said) / len(said) < 0.54


def test_neutral_contexts_are_never_answered_with_toxic_words():
    sampler = Sampler(0, "test")
    toxic = set(the_language().toxic)
    for _ in range(300):
        exchange = sampler.exchange(provoking=False)
        assert exchange.toxic == "" and toxic.isdisjoint(exchange.safe.split())


def test_pairs_prefer_decent_over_toxic_at_equal_length():
    toxic = set(the_language().toxic)
    for pair in format.read("pairs", "nursery", None, {"num_pairs": 300}).items:
        assert pair.rejected.split()[0] in toxic
        assert toxic.isdisjoint((pair.prompt + pair.chosen).split())
        assert len(pair.chosen) == len(pair.rejected)


def test_decent_answers_differ_by_topic():
    language = the_language()
    first_words = {topic.safe: Counter() for topic in language.provoking}
    for pair in format.read("pairs", "nursery", None, {"num_pairs": 400}).items:
        for topic in language.provoking:
            if set(pair.prompt.split()) & set(topic.context):
                first_words[topic.safe][pair.chosen.split()[0]] += 1
    for safe, counted in first_words.items():
        assert set(counted) <= set(safe) and counted.total() > 50


def test_training_and_measurement_share_no_context():
    pairs = format.read("pairs", "nursery", None, {"num_pairs": 3000}).items
    prompts = format.read("prompts", "nursery", None, {"num_prompts": 1000}).items
    assert not {pair.prompt for pair in pairs} & {prompt.source for prompt in prompts}


def test_equal_seeds_give_equal_texts_and_others_do_not():
    first, again, other = (
        corpus.read_documents("nursery", None, {"num_documents": 20, "seed": seed})[0]
        for seed in (0, 0, 1)
    )
    assert first == again != other
