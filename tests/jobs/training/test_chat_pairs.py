"""Pairs in a chat template: what the tokenizer's own templating gives, parted at the answer."""

import copy

import pyarrow
import pyarrow.parquet
import pytest

from cluster.errors import UserError
from jobs.training.chat_pairs import template_digest
from jobs.training.tokenized_pairs import tokenize_pairs, tokens_digest
from tests.jobs.byte_level import byte_level_bpe
from tests.jobs.training.read_pairs import read_pairs

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' "
    "+ message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + '</s>' }}{% endif %}{% endfor %}"
)
TEMPLATES = {"chatml": CHATML, "mistral": MISTRAL}
PAIR = ("the user said", " that\n", "the assistant ]")


@pytest.fixture(scope="module")
def tokenizer():
    """Byte-level BPE that, as Llama's, puts a BOS before every text."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    marks = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    inner = byte_level_bpe("the user said that\nthe assistant said that", 300, marks)
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", inner.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")


@pytest.fixture
def read(tmp_path, tokenizer):
    def build(*rows, template=CHATML, max_length=1000, turns=()):
        columns = ("prompt", "chosen", "rejected")
        table = [
            {
                "pair": 7 + number,
                "split": "train",
                "turns": [{"role": role, "text": text} for role, text in turns],
                **dict(zip(columns, row, strict=True)),
            }
            for number, row in enumerate(rows)
        ]
        path = tmp_path / "pairs.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), path)
        return read_pairs(path, tokenizer, max_length, template)

    return build


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_both_sides_are_as_the_tokenizer_templates_them_and_the_prompt_asks_for_an_answer(
    read, tokenizer, name
):
    (pair,) = read(PAIR, template=TEMPLATES[name])
    asked = [{"role": "user", "content": "the user said"}]
    for answer, ids in (("that", pair.chosen_ids), ("the assistant ]", pair.rejected_ids)):
        whole = tokenizer.apply_chat_template(
            [*asked, {"role": "assistant", "content": answer}], chat_template=TEMPLATES[name]
        )
        assert pair.prompt_ids + ids == whole["input_ids"]
    opened = tokenizer.apply_chat_template(
        asked, chat_template=TEMPLATES[name], add_generation_prompt=True
    )
    assert pair.prompt_ids == opened["input_ids"]
    assert not pair.truncated


def test_an_answer_ends_as_the_template_ends_a_turn(read, tokenizer):
    (chatml,), (mistral,) = read(PAIR), read(PAIR, template=MISTRAL)
    assert tokenizer.decode(chatml.chosen_ids) == "that<|im_end|>\n"
    assert tokenizer.decode(mistral.chosen_ids) == " that</s>"


def test_bos_comes_once_and_only_from_the_template_and_stays_in_a_cut_prompt(read, tokenizer):
    bos = tokenizer.bos_token_id
    (without,), (once,) = read(PAIR), read(PAIR, template=MISTRAL)
    assert bos not in without.prompt_ids
    assert once.prompt_ids.count(bos) == 1 and once.prompt_ids[0] == bos
    longest = len(once.prompt_ids) + max(len(once.chosen_ids), len(once.rejected_ids))
    (cut,) = read(PAIR, template=MISTRAL, max_length=longest - 3)
    assert cut.prompt_ids == [bos, *once.prompt_ids[4:]]
    assert cut.truncated


def test_turns_take_the_place_of_the_prompt(read, tokenizer):
    turns = (("system", "said"), ("user", " the"), ("assistant", " that"), ("user", " user"))
    (pair,) = read(("\n\nHuman: ...", "that", "the"), turns=turns)
    assert tokenizer.decode(pair.prompt_ids) == (
        "<|im_start|>system\nsaid<|im_end|>\n<|im_start|>user\nthe<|im_end|>\n"
        "<|im_start|>assistant\nthat<|im_end|>\n<|im_start|>user\nuser<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert tokenizer.decode(pair.rejected_ids) == "the<|im_end|>\n"


def test_an_answer_of_white_space_is_refused_by_its_pair(read):
    with pytest.raises(UserError, match="rejected completion of pair 8 has no token"):
        read(PAIR, ("the", "that", " \n"))


def test_a_pair_that_the_template_does_not_take_is_named(read):
    with pytest.raises(UserError, match="changes or drops") as caught:
        read(PAIR, template=CHATML.replace("message['content']", "message['content'] | upper"))
    assert "pair 7" in str(caught.value)


def test_a_blank_before_answers_is_theirs_on_both_sides_be_it_a_token_or_half_of_one(
    read, tokenizer
):
    spaced = (
        "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '</s>' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    (pair,) = read(("the", "that", "]"), template=spaced)
    assert tokenizer.decode(pair.prompt_ids) == "user: the</s>assistant:"
    assert tokenizer.decode(pair.chosen_ids) == " that</s>"
    assert tokenizer.decode(pair.rejected_ids) == " ]</s>"
    assert len(pair.chosen_ids) < len(pair.rejected_ids)


def test_the_digests_know_the_template(read):
    found = {tokens_digest(read(PAIR, template=each)) for each in (None, CHATML, MISTRAL)}
    assert len(found) == 3
    assert template_digest(None) is None
    assert template_digest(CHATML) != template_digest(MISTRAL)


STRICT = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ message['role'] + ': ' + message['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)


def pair_row(number, *roles):
    turns = [{"role": role, "text": "the"} for role in roles]
    texts = {"prompt": "the", "chosen": "that", "rejected": "said"}
    return {"pair": number, "split": "train", "turns": turns, **texts}


def test_a_conversation_that_a_strict_template_refuses_costs_itself_alone(tokenizer):
    rows = [pair_row(number, "user") for number in range(20)]
    tokens = tokenize_pairs([*rows, pair_row(20, "user", "user")], tokenizer, 1000, STRICT)
    assert [pair.pair for pair in tokens.pairs] == list(range(20))
    assert tokens.rows_by_reason() == {
        "the chat template refuses these messages: roles must alternate": [20]
    }
    digest = tokens_digest(tokenize_pairs(rows, tokenizer, 1000, STRICT).pairs)
    assert tokens_digest(tokens.pairs) == digest


def test_a_token_that_begins_every_turn_may_also_begin_the_text(tokenizer):
    own = copy.deepcopy(tokenizer)
    own.bos_token = "<|im_start|>"
    row = pair_row(0, "user", "assistant", "user")
    (pair,) = tokenize_pairs([row], own, 1000, CHATML).pairs
    assert pair.prompt_ids.count(own.bos_token_id) == 4
    doubled = tokenize_pairs([row], own, 1000, "{{ bos_token }}" + CHATML)
    assert "more than one <|im_start|>" in doubled.dropped[0].reason
