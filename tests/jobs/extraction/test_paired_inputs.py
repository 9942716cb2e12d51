"""What two checkpoints share: tokens, templates, and what only one of them has an embedding for."""

from itertools import count

import pytest

from cluster.errors import UserError
from jobs.extraction.paired_inputs import build_shared_plan as build_cut_plan
from jobs.extraction.paired_inputs import find_chat_template, require_common_model
from jobs.shared_params import CutParams
from tests.jobs.byte_level import byte_level_bpe

CHATML = (
    "{% for message in messages %}{{ '<|start|> ' + message['role'] + ' ' "
    "+ message['content'] + ' <|end|> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|> assistant ' }}{% endif %}"
)


def build_shared_plan(*inputs, **cut):
    """Build the plan of whole prompts, but for what a test cuts."""
    return build_cut_plan(*inputs, cut=CutParams(**cut))


@pytest.fixture
def chat_tokenizer(word_tokenizer):
    """A function: tokens to add -> the words' tokenizer with them and a template."""

    def build(*tokens, template=CHATML):
        tokenizer = word_tokenizer(eos_token="<end>")
        tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
        tokenizer.chat_template = template
        return tokenizer

    return build


@pytest.fixture
def models(root, tiny_model, word_tokenizer, chat_tokenizer):
    """A function: rows of the base and of its chat model -> both, as published."""

    number = count()

    def publish(base_rows, chat_rows, tokenizer=None):
        chat = chat_tokenizer("<|start|>", "<|end|>") if tokenizer is None else tokenizer
        plain = word_tokenizer(eos_token="<end>")
        return (
            root.model(f"base {next(number)}", tiny_model("llama", vocab_size=base_rows), plain),
            root.model(f"chat {next(number)}", tiny_model("llama", vocab_size=chat_rows), chat),
        )

    return publish


@pytest.fixture
def prompts(root, plain_prompts):
    return root.prompts("plain", plain_prompts)


def test_tokens_that_the_chat_model_added_are_used_where_the_base_has_rows_for_them(
    models, prompts
):
    base, chat = models(24, 32)
    plan, _ = build_shared_plan(base, chat, prompts, 100, "chat")
    assert {22, 23} <= set(plan.token_ids.tolist())
    assert require_common_model(base, chat)["vocab_size"] == 24
    plain, _ = build_shared_plan(base, chat, prompts, 100)
    assert plain.token_ids.max() < 22
    assert plain.hash != plan.hash


@pytest.mark.parametrize("rows", [(22, 24), (24, 22), (23, 32)])
def test_a_token_without_an_embedding_is_named_with_its_prompt(models, prompts, rows):
    base, chat = models(*rows)
    with pytest.raises(UserError, match="the chat template uses '<|".replace("|", r"\|")) as caught:
        build_shared_plan(base, chat, prompts, 100, "chat")
    told = str(caught.value)
    assert ("the base has no embedding" in told) == (rows[0] < 24)
    assert ("the aligned model has no embedding" in told) == (rows[0] == 24)
    assert "prompt 0" in told and "template: none" in told
    build_shared_plan(base, chat, prompts, 100)  # its text alone is fine


def test_a_prompt_that_says_such_a_token_is_named(models, root):
    base, chat = models(22, 24)
    template = CHATML.replace("<|start|>", "word1").replace("<|end|>", "word2")
    chat = models(22, 24, _template(chat, template))[1]
    said = [{"role": "prompt", "text": "word3 <|end|>"}]
    prompts = root.prompts("said", [{"prompt": 6, "group": 0, "segments": said}])
    with pytest.raises(UserError, match=r"the prompt uses '<\|end\|>'") as caught:
        build_shared_plan(base, chat, prompts, 100, "chat")
    assert "prompt 6" in str(caught.value)


def _template(model, template):
    from jobs.models.loading import load_tokenizer

    tokenizer = load_tokenizer(model.directory("model"))
    tokenizer.chat_template = template
    return tokenizer


def test_a_token_under_another_id_is_refused_where_a_prompt_uses_it(
    models, root, prompts, chat_tokenizer
):
    _, one = models(24, 24, chat_tokenizer("<|start|>", "<|end|>"))
    _, other = models(24, 24, chat_tokenizer("<|end|>", "<|start|>"))
    build_shared_plan(one, other, prompts, 100)  # no prompt uses either
    said = [{"role": "prompt", "text": "word3 <|end|> word4"}]
    using = root.prompts("using", [{"prompt": 6, "group": 0, "segments": said}])
    with pytest.raises(UserError, match="give prompt 6 other ids") as caught:
        build_shared_plan(one, other, using, 100)
    assert "[5, 23, 6] and [5, 22, 6]" in str(caught.value)


def test_a_tokenizer_that_cuts_otherwise_is_refused_where_a_prompt_shows_it(
    root, models, prompts, word_tokenizer
):
    """Lesson 21: compare the same tokens."""
    from tokenizers import normalizers

    lower = word_tokenizer(eos_token="<end>")
    lower.backend_tokenizer.normalizer = normalizers.Lowercase()
    base, chat = models(24, 24, lower)
    build_shared_plan(base, chat, prompts, 100)
    said = [{"role": "prompt", "text": "word3 WORD4"}, {"role": "response", "text": " word5"}]
    loud = root.prompts("loud", [{"prompt": 9, "group": 0, "segments": said}])
    with pytest.raises(UserError, match="give prompt 9 other ids"):
        build_shared_plan(base, chat, loud, 100)


def test_a_tokenizer_that_begins_texts_otherwise_is_refused_without_a_template(
    models, prompts, chat_tokenizer
):
    from tokenizers import processors

    begun = chat_tokenizer("<|start|>", "<|end|>")
    begun.bos_token = "<end>"
    begun.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<end> $A", special_tokens=[("<end>", begun.eos_token_id)]
    )
    base, chat = models(24, 24, begun)
    with pytest.raises(UserError, match="begin texts differently: with nothing and with '<end>'"):
        build_shared_plan(base, chat, prompts, 100)
    build_shared_plan(base, chat, prompts, 100, "chat")


def test_what_no_prompt_shows_a_probe_does(root, tiny_model, prompts):
    """Two byte-level tokenizers, of which one normalises; the prompts have nothing to normalise."""
    from tokenizers import normalizers
    from transformers import PreTrainedTokenizerFast

    def published(name, normalizer=None):
        inner = byte_level_bpe("word1 word2", 280, ["<end>"])
        inner.normalizer = normalizer
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
        return root.model(name, tiny_model("llama", vocab_size=300), tokenizer)

    with pytest.raises(UserError, match="give a text made to try them other ids"):
        build_shared_plan(published("a"), published("b", normalizers.NFKC()), prompts, 100)
    same_in_effect = normalizers.Replace("word9word9", "word1")
    build_shared_plan(published("c"), published("d", same_in_effect), prompts, 100)


def test_the_template_is_the_aligned_models_else_the_bases(
    root, models, tiny_model, chat_tokenizer
):
    base, chat = models(24, 24)
    assert find_chat_template(base, chat) == CHATML
    own = chat_tokenizer("<|start|>", "<|end|>", template="{{ messages[0].content }}")
    with_one = root.model("with", tiny_model("llama", vocab_size=24), own)
    assert find_chat_template(with_one, chat) == CHATML
    assert find_chat_template(with_one, base) == "{{ messages[0].content }}"


def test_without_any_template_chat_is_refused(models, prompts):
    base, _ = models(24, 24)
    with pytest.raises(UserError, match="neither the aligned model nor its base"):
        build_shared_plan(base, base, prompts, 100, "chat")


def test_two_chat_models_of_one_base_have_their_own_plans(
    root, models, prompts, tiny_model, chat_tokenizer
):
    base, chat = models(24, 24)
    other = CHATML.replace("<|end|>", "word1 <|end|>")
    tokenizer = chat_tokenizer("<|start|>", "<|end|>", template=other)
    second = root.model("second", tiny_model("llama", vocab_size=24), tokenizer)
    again = root.model("again", tiny_model("llama", vocab_size=24), tokenizer)
    first, one, same = (
        build_shared_plan(base, each, prompts, 100, "chat")[0] for each in (chat, second, again)
    )
    assert first.hash != one.hash
    assert same is one  # read once for all models with these tokens


def test_prompts_beyond_either_models_positions_are_left_out(
    root, prompts, tiny_model, word_tokenizer, plain_prompts
):
    tokenizer = word_tokenizer(eos_token="<end>")
    base = root.model("long", tiny_model("gpt2", max_positions=32), tokenizer)
    short = root.model("short", tiny_model("gpt2", max_positions=8), tokenizer)
    plan, too_long = build_shared_plan(base, short, prompts, 32)
    assert plan.lengths.max() == 8
    assert len(plan.prompts) + len(too_long) == len(plain_prompts)
