"""Positions over whole prompts in a chat template: what is said counts, the markup does not."""

import numpy as np
import pytest

from jobs.kinds.extract import Extract
from jobs.kinds.predictions import Predictions
from jobs.tokens.plan import ROLES, build_token_plan
from jobs.tokens.positions import find_positions
from tests.jobs.byte_level import byte_level_bpe

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LINE = {
    "prompt": 0,
    "group": 0,
    "segments": [
        {"role": "user", "text": "the cat sat\non the mat", "said": [0, 22]},
        {"role": "assistant", "text": "a dog", "said": [0, 5]},
    ],
}


@pytest.fixture(scope="module")
def chatml():
    """A tokenizer whose BOS is the start of every turn."""
    from transformers import PreTrainedTokenizerFast

    inner = byte_level_bpe("the cat sat on the mat a dog", 280, ("<|im_start|>", "<|im_end|>"))
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<|im_start|>", eos_token="<|im_end|>"
    )


def selected(plan, policy):
    return find_positions(plan, [policy], 9)[0].tokens


@pytest.mark.parametrize("policy", ["mean", "all", "all-but-first"])
def test_markup_is_left_out(chatml, policy):
    plan, _ = build_token_plan([LINE], chatml, 99, CHATML)
    said = chatml.decode(plan.token_ids[selected(plan, policy)])
    assert said == "the cat sat\non the mata dog"
    roles = {ROLES[role] for role in plan.roles[~selected(plan, policy)]}
    assert roles == {"bos", "template"}


def test_without_a_template_every_token_counts_as_before(chatml):
    plan, _ = build_token_plan([LINE], chatml, 99)
    assert selected(plan, "all").all()
    np.testing.assert_array_equal(selected(plan, "mean"), plan.within > 0)
    np.testing.assert_array_equal(selected(plan, "all-but-first"), plan.within > 0)


def test_norms_are_not_led_by_markup(chatml):
    """Rows a thousand times as long at every mark leave the mean row as it is."""
    plan, _ = build_token_plan([LINE], chatml, 99, CHATML)
    is_markup = np.isin(plan.roles, [ROLES.index("template"), ROLES.index("bos")])
    norms = np.where(is_markup, 1000.0, 1.0)
    for policy in ("mean", "all", "all-but-first"):
        assert norms[selected(plan, policy)].max() == 1


@pytest.mark.parametrize("kind", [Extract(), Predictions()], ids=["extract", "predictions"])
def test_only_what_stands_in_a_template_has_another_key_than_it_had(kind):
    assert kind.pins(kind.Params(), {}) == {}
    assert kind.pins(kind.Params(template="chat"), {}) == {"template": "around what was said"}
