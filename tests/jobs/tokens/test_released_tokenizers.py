"""Released tokenizers: ids as their own libraries give them, whole and in segments."""

import pytest

from jobs.models.own_tokenizer import PROBES
from jobs.tokens.joining import join_segments
from tests.jobs.tokens.released_tokenizers import (
    expected,
    llama3,
    mistral,
    require_fetched,
    smollm2,
    tekken,
    vocabulary,
)

pytestmark = pytest.mark.slow

VOCABULARIES = (
    *("command-r", "deepseek-coder", "deepseek-llm", "falcon", "gpt-2", "llama-bpe", "llama-spm"),
    *("mpt", "phi-3", "qwen2", "qwen35", "refact", "starcoder"),
)
OWN = {
    "mistral v1": lambda: mistral("v1"),
    "mistral v3": lambda: mistral("v3"),
    "tekken": tekken,
    "llama 3": llama3,
    "smollm2": smollm2,
}
BORDERS = 12
"""Borders that are tried in each text, from its start to its end."""


@pytest.fixture(autouse=True)
def fetched():
    require_fetched()


def in_segments(text):
    """Cut a text in two at BORDERS places, and once in three."""
    at = sorted({len(text) * n // BORDERS for n in range(BORDERS + 1)})
    third = len(text) // 3
    return [
        *((text[:n], text[n:]) for n in at),
        (text[:third], text[third : 2 * third], text[2 * third :]),
    ]


def mismatches_in_segments(tokenizer, texts):
    cut = [segments for text in texts for segments in in_segments(text)]
    joined = join_segments(cut, tokenizer)
    wrong = sum(
        each.ids != tokenizer.encode("".join(segments), add_special_tokens=False).ids
        for segments, each in zip(cut, joined, strict=True)
    )
    return len(cut), wrong


@pytest.mark.parametrize("name", VOCABULARIES)
def test_vocabularies_of_llama_cpp_give_the_ids_that_it_expects(name):
    tokenizer = vocabulary(name)
    pairs = expected(name)
    wrong = [
        text for text, ids in pairs if tokenizer.encode(text, add_special_tokens=False).ids != ids
    ]
    count, apart = mismatches_in_segments(tokenizer, [*(text for text, _ in pairs), *PROBES])
    assert len(pairs) >= 40 and count > 500
    assert (len(wrong), apart) == (0, 0)


@pytest.mark.parametrize("name", OWN)
def test_files_of_their_makers_give_the_ids_of_their_own_libraries(name):
    tokenizer, own = OWN[name]()
    texts = [*PROBES, *(text for text, _ in expected("gpt-2"))]
    wrong = [
        text for text in texts if tokenizer.encode(text, add_special_tokens=False).ids != own(text)
    ]
    count, apart = mismatches_in_segments(tokenizer, texts)
    assert len(texts) >= 50 and count > 500
    assert (len(wrong), apart) == (0, 0)
