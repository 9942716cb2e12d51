"""Prompts in a chat template: rendered and tokenised once, as a whole, and whose each token is.

Where contents stand is found by rendering stand-ins in the same roles, never by searching the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

Row = list[tuple[int, str, int]]
"""(token id, role, segment) of each token; segment -1 for markup."""

_SPEAKERS = {"prompt": "user", "response": "assistant"}
"""Who says a segment of a plain prompt; roles of dialogues are the template's own."""
_ANSWERER = "assistant"
_SPACE = "\t \t"
"""Around a stand-in: what a template cuts off a content it cuts off here."""
_MARK = "<[{}]>"
_WITHOUT = "leave it out, or set template: none"
# Templates that print today would make other tokens tomorrow. Formats follow strftime.
_TODAY = {"%Y": "2024", "%y": "24", "%m": "07", "%d": "26", "%B": "July", "%b": "Jul"}
_DATED = (
    "{% macro strftime_now(format) %}{{ format"
    + "".join(f' | replace("{code}", "{value}")' for code, value in _TODAY.items())
    + " }}{% endmacro %}\n"
)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a template puts around the contents of messages in certain roles."""

    markup: tuple[str, ...]
    """Before the first content, between contents, after the last: one more than contents."""
    strips: tuple[tuple[bool, bool], ...]
    """Of each content: True where white space at its start, and at its end, is cut off."""
    lead: int
    """Characters of white space between where an answer is asked for and its content: a model
    would have to say them, so they are the answer's."""


class ChatRows:
    """Rows of tokens in one template, by one tokenizer."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, template: str, called: str = "prompt"
    ) -> None:
        """`called` is what faults call that which they name by its number."""
        self._tokenizer = tokenizer
        self._template = (_DATED if "strftime_now" in template else "") + template
        self._backend = _without_marking(tokenizer)
        self._called = called
        self._frames: dict[tuple[str, ...], Frame] = {}

    def rows(self, prompts: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The tokens of each prompt.

        Raises:
            UserError: the template does not take a prompt as it is; the prompt is named.
        """
        texts, spans = [], []
        for prompt in prompts:
            text, places = self._rendered(prompt)
            texts.append(text)
            spans.append(places)
        encoded = self._backend.encode_batch(texts, add_special_tokens=False)
        return [
            self._row(prompt, one.ids, one.offsets, text, places)
            for prompt, one, text, places in zip(prompts, encoded, texts, spans, strict=True)
        ]

    def _rendered(self, prompt: Mapping[str, Any]) -> tuple[str, list[tuple[int, int]]]:
        """The text of a prompt, and where in it each segment stands."""
        segments, where = prompt["segments"], self._named(prompt)
        if len(segments) > 1 and not segments[-1]["text"].strip():
            segments = segments[:-1]  # an answer of no words is one still to come
        roles = tuple(_SPEAKERS.get(each["role"], each["role"]) for each in segments)
        if roles not in self._frames:
            self._frames[roles] = self._frame(roles, where)
        frame = self._frames[roles]
        contents = [
            _stripped(segment["text"], *strips)
            for segment, strips in zip(segments, frame.strips, strict=True)
        ]
        text, spans = frame.markup[0], []
        for content, after in zip(contents, frame.markup[1:], strict=True):
            spans.append((len(text), len(text) + len(content)))
            text += content + after
        spans[-1] = (spans[-1][0] - frame.lead, spans[-1][1])
        if self._render(roles, [each["text"] for each in segments], where) != text:
            raise UserError(
                "the chat template changes or drops what is said, not only white space around it",
                where=where,
                hint=_WITHOUT,
            )
        return text, spans

    def _frame(self, roles: tuple[str, ...], where: str) -> Frame:
        """Render stand-ins in these roles and take them out again."""
        marks = [_MARK.format(number) for number in range(len(roles))]
        rest = whole = self._render(roles, [_around(mark) for mark in marks], where)
        markup, strips = [], []
        for mark in marks:
            before, found, rest = rest.partition(mark)
            if not found or mark in rest:
                raise UserError(
                    "the chat template does not say every message exactly once, in order",
                    where=where,
                    hint=_WITHOUT,
                )
            strips.append((not before.endswith(_SPACE), not rest.startswith(_SPACE)))
            markup.append(before.removesuffix(_SPACE))
            rest = rest.removeprefix(_SPACE)
        lead = self._lead(roles, marks, whole, where) if _is_answered(roles) else 0
        return Frame(markup=(*markup, rest), strips=tuple(strips), lead=lead)

    def _lead(self, roles: tuple[str, ...], marks: Sequence[str], whole: str, where: str) -> int:
        texts = [_around(mark) for mark in marks[:-1]]
        asked = self._render(roles[:-1], texts, where)
        if not whole.startswith(asked):
            raise UserError(
                "in the chat template an answered prompt does not begin as the same prompt does "
                "before its answer",
                where=where,
                hint=_WITHOUT,
            )
        lead = whole[len(asked) :].partition(marks[-1])[0].removesuffix(_SPACE)
        return 0 if lead.strip() else len(lead)

    def _render(self, roles: Sequence[str], texts: Sequence[str], where: str) -> str:
        """The template's text; where nobody has answered, up to where the answer would begin."""
        from jinja2 import TemplateError

        messages = [
            {"role": role, "content": text} for role, text in zip(roles, texts, strict=True)
        ]
        try:
            text: str = self._tokenizer.apply_chat_template(
                messages,
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=roles[-1] != _ANSWERER,
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise UserError(f"the chat template refuses this: {error}", where=where) from error
        return text

    def _row(
        self,
        prompt: Mapping[str, Any],
        ids: Sequence[int],
        offsets: Sequence[tuple[int, int]],
        text: str,
        spans: Sequence[tuple[int, int]],
    ) -> Row:
        """Each token with the segment whose text it holds, be there markup's white space in it."""
        bos = self._tokenizer.bos_token_id
        row: Row = []
        number = 0
        for place, (token, (start, end)) in enumerate(zip(ids, offsets, strict=True)):
            while number < len(spans) and spans[number][1] <= max(start, spans[number][0]):
                number += 1  # over, or empty
            # A tokenizer may put a mark before a text that stands for none of it.
            if number == len(spans) or spans[number][0] >= max(end, start + 1):
                row.append((token, "bos" if place == 0 and token == bos else "template", -1))
                continue
            first, last = spans[number]
            beside = text[start:first] + text[last:end]  # slices are empty where nothing protrudes
            if beside.strip():
                raise UserError(
                    "one token holds text of the prompt and of the chat template",
                    where=self._named(prompt),
                    hint=_WITHOUT,
                )
            row.append((token, prompt["segments"][number]["role"], number))
        self._check_one_bos(prompt, ids)
        return row

    def _named(self, prompt: Mapping[str, Any]) -> str:
        return f"{self._called} {prompt['prompt']}"

    def _check_one_bos(self, prompt: Mapping[str, Any], ids: Sequence[int]) -> None:
        bos = self._tokenizer.bos_token_id
        if bos is None:
            return
        # A token that also ends texts may stand anywhere, but not twice at the start.
        ends_too = bos == self._tokenizer.eos_token_id
        if ids[:2].count(bos) > 1 or (not ends_too and ids.count(bos) > 1):
            raise UserError(
                f"more than one {self._tokenizer.bos_token} begins the text",
                where=self._named(prompt),
                hint="texts must not bring their own where the chat template puts one",
            )


def chat_template_of(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The template of a tokenizer: the one for plain chats where it has several; None: none."""
    if tokenizer.chat_template is None:
        return None
    try:
        return str(tokenizer.get_chat_template())
    except ValueError:  # several, and none of them the default
        return None


def _without_marking(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """The tokenizer alone: no BOS of its own, no padding, and offsets that leave nothing out.

    GPT-2's marking step cuts white space from offsets, so that a space would be nobody's.
    """
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    backend.post_processor = None
    return backend


def _around(mark: str) -> str:
    return f"{_SPACE}{mark}{_SPACE}"


def _is_answered(roles: Sequence[str]) -> bool:
    return roles[-1] == _ANSWERER and len(roles) > 1


def _stripped(text: str, at_start: bool, at_end: bool) -> str:
    text = text.lstrip() if at_start else text
    return text.rstrip() if at_end else text
