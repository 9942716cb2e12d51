"""Chat templates: whose each token is, whatever is said, in the ways that templates are written."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import UserError
from jobs.tokens.chat import notes_on_openings
from jobs.tokens.plan import ROLES, build_token_plan
from jobs.tokens.positions import find_positions
from tests.jobs.byte_level import byte_level_bpe

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' "
    "+ message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
QWEN = (
    "{%- if messages[0]['role'] != 'system' %}"
    "{{- '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{%- endif %}" + CHATML
)
LLAMA3 = (
    "{{ bos_token }}{{ 'Today Date: ' + strftime_now('%d %b %Y') }}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '<|im_end|>\\n\\n' "
    "+ message['content'] | trim + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_end|>\\n\\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] | trim + '</s>' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}"
    "{% endif %}{% endfor %}"
)
TEMPLATES = {"chatml": CHATML, "qwen": QWEN, "llama3": LLAMA3, "mistral": MISTRAL}
MARKUP = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]


def bytes_tokenizer(trim_offsets=True):
    """Byte-level BPE as GPT-2, Llama 3 and Qwen have it; merges make tokens across blanks."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    inner = byte_level_bpe("  user said  that\n\nthe assistant said [INST] that", 330, MARKUP)
    inner.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")


def pieces_tokenizer():
    """A Unigram model with Llama 2's mark for blanks, put before every text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    blank = "\u2581"
    letters = [(letter, -5.0) for letter in f"{blank}[]/\nabcdefghijklmnopqrstuvwxyzINSTDYU.:024"]
    words = [(f"{blank}{word}", -1.0) for word in ("user", "said", "that", "the")]
    inner = Tokenizer(models.Unigram([("<unk>", 0.0), *letters, *words], 0, False))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend(blank), normalizers.Replace(" ", blank)]
    )
    inner.decoder = decoders.Sequence([decoders.Replace(blank, " "), decoders.Fuse()])
    inner.add_special_tokens([AddedToken(token, normalized=False) for token in MARKUP])
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")


BYTES, PIECES = bytes_tokenizer(), pieces_tokenizer()


def prompt(*segments, number=0):
    return {
        "prompt": number,
        "group": 0,
        "segments": [
            {"role": role, "text": text, "said": [0, len(text)]} for role, text in segments
        ],
    }


def messages(one):
    names = {"prompt": "user", "response": "assistant"}
    return [
        {"role": names.get(each["role"], each["role"]), "content": each["text"].strip()}
        for each in one["segments"]
    ]


def texts_by_role(tokenizer, plan):
    """Role -> the decoded tokens of each of its stretches."""
    place = np.flatnonzero(
        np.append(True, np.diff(plan.segments) | np.diff(plan.roles) | np.diff(plan.owners))
    )
    found = {}
    for start, end in zip(place, [*place[1:], len(plan.token_ids)], strict=True):
        text = tokenizer.decode(plan.token_ids[start:end], skip_special_tokens=False)
        found.setdefault(ROLES[plan.roles[start]], []).append(text)
    return found


def marked(plan, policy):
    return {
        each.label: np.flatnonzero(each.tokens).tolist()
        for each in find_positions(plan, [policy], 9)
    }


said = st.text("ab said that\n\t user[]\u00e9\U0001f600", min_size=1, max_size=20).filter(str.strip)
dialogues = st.lists(said, min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(dialogues, st.sampled_from(sorted(TEMPLATES)), st.booleans())
def test_every_token_is_its_speakers_or_the_templates(contents, name, trim_offsets):
    template = TEMPLATES[name]
    speakers = ["user", "assistant"] * 3
    one = prompt(*zip(speakers, contents, strict=False))
    plan, _ = build_token_plan([one], BYTES, 10_000, template)
    whole = BYTES.decode(plan.token_ids, skip_special_tokens=False)
    found = texts_by_role(BYTES, plan)
    for role in ("user", "assistant"):
        expected = [text for who, text in zip(speakers, contents, strict=False) if who == role]
        told = found.get(role, [])
        # White space of the markup may share a token with what stands beside it: no letter may.
        assert [text.strip() for text in told] == [text.strip() for text in expected]
    assert set(found) <= {"bos", "template", "user", "assistant"}
    assert whole.count("<s>") == (1 if name in ("llama3", "mistral") else 0)
    answered = len(contents) % 2 == 0
    ends = marked(plan, "last")["last"]
    before = BYTES.decode(plan.token_ids[: ends[0] + 1], skip_special_tokens=False)
    open_ended = BYTES.apply_chat_template(
        messages(one)[:-1] if answered else messages(one),
        chat_template=template,
        tokenize=False,
        add_generation_prompt=True,
    )
    if name != "llama3":  # it prints today; see below
        assert open_ended.startswith(before)
        assert not open_ended[len(before) :].strip()
        if not answered:
            assert before == open_ended
    assert ("response" in marked(plan, "response")) == answered
    turns = [places[0] for places in marked(plan, "turn").values()]
    assert len(turns) == (len(contents) + 1) // 2
    for turn in turns:
        assert ROLES[plan.roles[turn]] == "user" and ROLES[plan.roles[turn + 1]] == "template"


@pytest.mark.parametrize("name", ["chatml", "qwen", "mistral"])
@pytest.mark.parametrize("tokenizer", [BYTES, PIECES], ids=["bytes", "pieces"])
def test_ids_are_those_of_the_tokenizers_own_templating(name, tokenizer):
    one = prompt(("prompt", "the user said"), ("response", "that [ said"))
    plan, _ = build_token_plan([one], tokenizer, 1000, TEMPLATES[name])
    expected = tokenizer.apply_chat_template(messages(one), chat_template=TEMPLATES[name])
    assert plan.token_ids.tolist() == expected["input_ids"]
    answer = tokenizer.decode(plan.token_ids[marked(plan, "response")["response"]])
    assert answer.strip() == "that [ said"
    asked = tokenizer.decode(plan.token_ids[plan.roles == ROLES.index("prompt")])
    assert asked.strip() == "the user said"


def test_chatml_token_by_token():
    one = prompt(("system", "ab"), ("user", "the"), ("assistant", "that"))
    plan, _ = build_token_plan([one], BYTES, 1000, CHATML)
    assert texts_by_role(BYTES, plan) == {
        "template": [
            "<|im_start|>system\n",
            "<|im_end|>\n<|im_start|>user\n",
            "<|im_end|>\n<|im_start|>assistant\n",
            "<|im_end|>\n",
        ],
        "system": ["ab"],
        "user": ["the"],
        "assistant": ["that"],
    }
    (last,) = marked(plan, "last")["last"]
    assert BYTES.decode(plan.token_ids[last]) == "\n"
    assert plan.roles[last + 1] == ROLES.index("assistant")
    assert plan.segments[last] == -1


def test_what_a_template_puts_in_by_itself_is_its_own():
    plan, _ = build_token_plan([prompt(("prompt", "the"))], BYTES, 1000, QWEN)
    found = texts_by_role(BYTES, plan)
    assert found["prompt"] == ["the"]
    assert "You are helpful." in found["template"][0]
    assert marked(plan, "last")["last"] == [len(plan.token_ids) - 1]


def test_a_template_that_prints_today_gives_the_same_tokens_every_day():
    plan, _ = build_token_plan([prompt(("prompt", "the"))], BYTES, 1000, LLAMA3)
    found = texts_by_role(BYTES, plan)
    assert found["bos"] == ["<s>"]
    assert found["template"][0].startswith("Today Date: 26 Jul 2024")


def test_an_answer_without_words_is_still_to_come():
    with_it, _ = build_token_plan(
        [prompt(("prompt", "the"), ("response", " \n"))], BYTES, 1000, CHATML
    )
    without, _ = build_token_plan([prompt(("prompt", "the"))], BYTES, 1000, CHATML)
    assert with_it.token_ids.tolist() == without.token_ids.tolist()
    assert marked(with_it, "last") == marked(without, "last")


def test_the_blank_that_begins_an_answer_is_part_of_it_be_it_a_token_or_half_of_one():
    for answer in ("that", "]"):
        plan, _ = build_token_plan(
            [prompt(("prompt", "the"), ("response", answer))], BYTES, 1000, MISTRAL
        )
        assert texts_by_role(BYTES, plan)["response"] == [f" {answer}"]
        (last,) = marked(plan, "last")["last"]
        assert BYTES.decode(plan.token_ids[: last + 1]).endswith("[/INST]")


@pytest.mark.parametrize("header", ["<|im_start|>assistant\n", "assistant: "])
def test_a_template_that_begins_no_answer_by_itself_ends_where_the_answer_would_begin(header):
    template = (
        "{% for message in messages %}{% if message['role'] == 'assistant' %}"
        f"{{{{ '{header}' }}}}{{% else %}}{{{{ 'user: ' }}}}{{% endif %}}"
        "{{ message['content'] + '<|im_end|>' }}{% endfor %}"
    )
    asked = [("prompt", "said that")]
    plan = build_token_plan([prompt(*asked)], BYTES, 1000, template)[0]
    whole = BYTES.decode(plan.token_ids)
    assert whole == f"user: said that<|im_end|>{header}".rstrip(" ")
    answered = build_token_plan([prompt(*asked, ("response", " yes"))], BYTES, 1000, template)[0]
    first = list(answered.roles).index(ROLES.index("response"))
    assert list(answered.token_ids[:first]) == list(plan.token_ids)  # as it is trained on


R1 = (
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '<|im_start|>' + message['content'] }}{% else %}"
    "{{ '<|im_end|>' + message['content'].split('</think>')[-1] + '</s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_end|><think>\\n' }}{% endif %}"
)


def test_a_template_that_asks_for_thoughts_takes_an_answer_without_them():
    asked = ("prompt", "said that")
    plan = build_token_plan([prompt(asked, ("response", "that"))], BYTES, 1000, R1)[0]
    assert BYTES.decode(plan.token_ids) == "<|im_start|>said that<|im_end|>that</s>"
    roles = [ROLES[role] for role in plan.roles]
    said = [token for token, role in zip(plan.token_ids, roles, strict=True) if role == "response"]
    assert BYTES.decode(said) == "that"
    open_ended = build_token_plan([prompt(asked)], BYTES, 1000, R1)[0]
    assert BYTES.decode(open_ended.token_ids) == "<|im_start|>said that<|im_end|><think>\n"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (CHATML, None),
        (LLAMA3, None),
        (MISTRAL, None),
        (
            R1,
            "before an answer that is asked for .*<think>.* before one that is given '<|im_end|>'",
        ),
        (CHATML.partition("{% if add")[0], "begins no answer .*'<|im_start|>assistant"),
    ],
)
def test_where_prompts_end_otherwise_with_an_answer_is_said(template, told):
    notes = notes_on_openings(BYTES, template)
    assert not notes if told is None else re.search(told.replace("|", r"\|"), notes[0])


def test_words_of_the_markup_may_be_said():
    one = prompt(("user", "user"), ("assistant", "assistant user"), ("user", "[/INST]"))
    for name in ("chatml", "mistral"):
        found = texts_by_role(BYTES, build_token_plan([one], BYTES, 1000, TEMPLATES[name])[0])
        assert [text.strip() for text in found["user"]] == ["user", "[/INST]"]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (CHATML.replace("message['content']", "message['content'] | upper"), "changes"),
        (
            CHATML.replace("message['content']", "message['content'] | replace('at', 'it')"),
            "changes",
        ),
        (CHATML.replace("message['content']", "message['content'][:4]"), "exactly once"),
        ("{{ messages[0]['content'] }}", "exactly once"),
        (
            CHATML.replace("%}{{ '<|im_s", "%}{% if loop.last %}!{% endif %}{{ '<|im_s", 1),
            "does not begin",
        ),
        (CHATML.replace("'<|im_end|>'", "'t<|im_end|>'"), "one token holds"),
        (CHATML + "{{ messages[0]['content'] }}", "exactly once"),
        ("{{ raise_exception('never') }}", "refuses these messages: never"),
        ("{% for %}", "refuses these messages"),
        ("{{ 1 // 0 }}", "refuses these messages: .*by zero"),
        ("{{ messages[0].content[0:1].x.y }}", "refuses these messages: .*has no attribute"),
        ("{{ '%c' % 1114112 }}", "refuses these messages: "),
        (CHATML + "\ud83d", "writes holds half a character"),
        (CHATML.replace("+ '\\n' }}{% endfor", "+ '<s><s>' }}{% endfor"), "more than one <s>"),
    ],
)
def test_a_template_that_does_not_say_what_is_said_is_refused_by_prompt(template, told):
    fine = prompt(("prompt", "ab"), ("response", "b"), number=3)
    one = prompt(("prompt", "that tha"), ("response", "said that"), number=8)
    with pytest.raises(UserError, match=told) as caught:
        build_token_plan([one, fine], BYTES, 1000, template)
    assert "prompt 8" in str(caught.value)


def test_a_system_message_where_the_template_takes_none_is_refused_by_prompt():
    one = prompt(("system", "ab"), ("user", "the"), number=5)
    with pytest.raises(UserError, match="Only user and assistant") as caught:
        build_token_plan([one], BYTES, 1000, MISTRAL)
    assert "prompt 5" in str(caught.value)


def test_a_text_that_brings_a_second_bos_is_refused_by_prompt():
    with pytest.raises(UserError, match="more than one <s>") as caught:
        build_token_plan([prompt(("prompt", "<s> the"), number=4)], BYTES, 1000, MISTRAL)
    assert "prompt 4" in str(caught.value)


def test_the_hash_knows_the_template():
    one = prompt(("prompt", "the"), ("response", "that"))
    hashes = {
        build_token_plan([one], BYTES, 1000, each)[0].hash for each in (None, *TEMPLATES.values())
    }
    assert len(hashes) == 5


def test_long_prompts_are_counted_with_their_markup():
    prompts = [prompt(("prompt", "the"), number=1), prompt(("prompt", "the that said"), number=2)]
    length = len(build_token_plan(prompts[:1], BYTES, 1000, CHATML)[0].token_ids)
    plan, too_long = build_token_plan(prompts, BYTES, length, CHATML)
    assert (plan.prompts.tolist(), too_long) == ([1], [2])
