"""In a chat template a turn is what was said: prompts have the ids that training gives the pairs.

The marks that a transcript has around turns, and white space around what is said, are no words.
"""

import json

import pytest

from cluster.errors import UserError
from jobs.kind import Upstream
from jobs.text.format import FORMATS
from jobs.text.planned import Planned
from jobs.text.prompt_lines import prompt_line
from jobs.text.transform import load_transform
from jobs.tokens.chat import ChatRows
from jobs.tokens.plan import ROLES, build_token_plan
from jobs.tokens.planned_answers import planned_answers
from jobs.tokens.planned_tokens import planned_reader
from jobs.training.chat_pairs import chat_ids
from tests.jobs.byte_level import byte_level_bpe
from tests.jobs.tokens.test_begun_replies import line

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPACED = (
    "{% for m in messages %}{{ ('[INST] ' if m['role'] == 'user' else ' ') + m['content'] "
    "+ ('[/INST]' if m['role'] == 'user' else '</s>') }}{% endfor %}"
)
TEMPLATES = {
    "chatml": CHATML,
    "line breaks cut off": CHATML.replace("m['content']", "m['content'].strip('\n')"),
    "cut off at the start": CHATML.replace("m['content']", "m['content'].lstrip('\n')"),
    "a blank before answers": SPACED,
}
MARKUP = ("<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "</s>")
TURNS = [
    ("user", "The driver"),
    ("assistant", "was calm"),
    ("user", "\n\n He said"),
    ("assistant", " \n\nthank you\n"),
]
TRANSCRIPT = "".join(
    f"\n\n{'Human' if role == 'user' else 'Assistant'}: {text}" for role, text in TURNS
)
MESSAGES = {"chosen": [{"role": role, "content": text} for role, text in TURNS]}
MESSAGES["rejected"] = [*MESSAGES["chosen"][:-1], {"role": "assistant", "content": "no"}]
UNMARKED = {"system": "", "user": "", "assistant": ""}
SOURCES = {
    "transcripts": ("hh-rlhf", {}, {"chosen": TRANSCRIPT, "rejected": f"{TRANSCRIPT[:-12]} no"}),
    "messages": ("messages", {}, MESSAGES),
    "messages without marks": ("messages", UNMARKED, MESSAGES),
    "plain text": (
        "prompt-chosen-rejected",
        {},
        {"prompt": " The driver", "chosen": " was calm\n", "rejected": "\n\nwas not"},
    ),
}


@pytest.fixture(scope="module", params=[False, True], ids=["plain marks", "marks eat blanks"])
def tokenizer(request):
    """Byte-level BPE; Phi-3's marks take in the white space behind them."""
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    inner = byte_level_bpe("The driver was calm. He said\n\nthank you user assistant", 330, ())
    inner.add_special_tokens(
        [AddedToken(mark, normalized=False, rstrip=request.param) for mark in MARKUP]
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>")


def read(tmp_path, source):
    """Return the lines of prompts, and the pairs, of a source of one row."""
    name, options, row = SOURCES[source]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    chosen = FORMATS.find(name)
    options = chosen.Options(**options)
    (prompt,) = chosen.read_prompts(path, options).items
    (pair,) = chosen.read_pairs(path, options).items
    turns = [{"role": turn.role, "text": turn.parts[1]} for turn in pair.turns]
    texts = {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
    return prompt, {"pair": 0, "split": "train", "turns": turns, **texts}


def as_models_are_trained(tokenizer, template, turns):
    names = {"prompt": "user", "response": "assistant"}
    told = [{"role": names.get(role, role), "content": text.strip()} for role, text in turns]
    return tokenizer.apply_chat_template(told, chat_template=template)["input_ids"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_prompts_pairs_and_the_tokenizers_own_templating_agree(
    tmp_path, tokenizer, source, template
):
    prompt, pair = read(tmp_path, source)
    own = prompt_line(0, prompt, load_transform("plain"), 0)
    plan, left_out = build_token_plan([own], tokenizer, 1000, template)
    assert left_out.refused == {}
    ((before, (chosen, _)),) = chat_ids([pair], tokenizer, template)
    turns = TURNS if pair["turns"] else [("user", "The driver"), ("assistant", "was calm")]
    expected = as_models_are_trained(tokenizer, template, turns)
    assert plan.token_ids.tolist() == before + chosen == expected
    final = plan.segments == plan.final_segments[0]
    assert tokenizer.decode(plan.token_ids[final]).strip() == turns[-1][1].strip()
    asked = (plan.segments >= 0) & ~final
    assert "Human" not in tokenizer.decode(plan.token_ids[asked])
    marks = tokenizer.convert_tokens_to_ids(list(MARKUP))
    markup = {ROLES[role] for role in plan.roles[[t in marks for t in plan.token_ids.tolist()]]}
    assert markup == {"template"}


def test_words_of_every_turn_are_transformed_and_stand_in_the_template(tmp_path, tokenizer):
    prompt, _ = read(tmp_path, "transcripts")
    chain = load_transform("rot13")
    plan, _ = build_token_plan([prompt_line(0, prompt, chain, 0)], tokenizer, 1000, CHATML)
    turns = [
        (role, (chain.apply if role == "user" else chain.apply_to_answer)(text.strip(), 0))
        for role, text in TURNS
    ]
    assert chain.apply("He said", 0) != "He said"
    assert plan.token_ids.tolist() == as_models_are_trained(tokenizer, CHATML, turns)


def test_a_dialogue_that_does_not_say_where_its_words_are_is_refused(tokenizer):
    old = line(0, "\n\nHuman: The driver", " was calm", roles=("user", "assistant"))
    del old["segments"][0]["said"]
    with pytest.raises(UserError, match="an older version made them"):
        ChatRows(tokenizer, CHATML).rows([old])


def test_a_plan_measures_answers_in_the_template_as_the_job_will(tmp_path, tiny_model, tokenizer):
    """Without the blank that begins it, an answer may have more tokens."""
    lines = [line(0, "The driver", " was"), line(1, "The driver", " \n\nthank you said")]
    tiny_model("llama", vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(tmp_path)
    source = {"source": str(tmp_path)}
    model = Upstream(kind="pretrained", params=source, facts=None, files={}, inputs={})
    prompts = Planned(params=str(tmp_path), read=lambda: lines)
    answers = planned_answers(prompts, *planned_reader(model, model, "chat"))
    plan, _ = build_token_plan(lines, tokenizer, 1000, CHATML)
    is_answer = plan.roles == ROLES.index("response")
    assert answers.unit == "tokens"
    assert answers.lengths == tuple(int(is_answer[plan.owners == at].sum()) for at in (0, 1))
    plain = planned_answers(prompts, *planned_reader(model, model, "none"))
    assert plain.lengths != answers.lengths


def test_a_prompt_that_the_template_refuses_is_no_short_answer(tmp_path, tiny_model, tokenizer):
    tiny_model("llama", vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.chat_template = "{{ raise_exception('no') }}"
    tokenizer.save_pretrained(tmp_path)
    source = {"source": str(tmp_path)}
    model = Upstream(kind="pretrained", params=source, facts=None, files={}, inputs={})
    prompts = Planned(params=str(tmp_path), read=lambda: [line(0, "The driver", " was")])
    assert planned_answers(prompts, *planned_reader(model, model, "chat")).lengths == ()
