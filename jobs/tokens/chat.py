"""Prompts in a chat template: rendered and tokenised as a whole, with the role of every token.

A message is what was said, as models are trained on messages: without the marks that a transcript
has around turns, and without white space around it. The template is rendered once with stand-ins in
the same roles, which tells what it puts around each message; contents are never searched for in the
rendered text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from cluster.errors import UserError
from jobs.text.prompt_lines import CHAT_ROLES, PromptLine, without_marks
from jobs.text.rows.cell import encodable
from jobs.text.rows.fault import RowFault, row_numbers
from jobs.tokens.joining import bare_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_P = ParamSpec("_P")
_Made = TypeVar("_Made")

TokenRow = list[tuple[int, str, int]]
"""(token id, role, segment) of each token of one prompt; segment -1 for markup."""

_ANSWERER = "assistant"
_MARK = "<[{}]>"
_OF_PROCESSORS = "chat_template.json"
_WITHOUT = "leave it out, or set template: none"
# A template that prints today's date would make other tokens tomorrow. Formats follow strftime.
_TODAY = {"%Y": "2024", "%y": "24", "%m": "07", "%d": "26", "%B": "July", "%b": "Jul"}
_DATED = (
    "{% macro strftime_now(format) %}{{ format"
    + "".join(f' | replace("{code}", "{value}")' for code, value in _TODAY.items())
    + " }}{% endmacro %}\n"
)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The markup that a template puts around the messages of a given sequence of roles."""

    markup: tuple[str, ...]
    """Text before the first message, between messages, after the last: one more than messages."""
    lead: int
    """Characters of white space between the generation prompt and the answer. A model would have
    to generate them, so they count as part of the answer."""
    opening: str = ""
    """What the template writes before an answer only where one follows: the end of the last of
    `markup` behind messages without one. Most write it where `add_generation_prompt` asks."""


class ChatRows:
    """Tokenises prompts in one chat template, by one tokenizer."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, template: str, called: str = "prompt"
    ) -> None:
        """Call prompts in errors by the noun `called`, with their number."""
        self._tokenizer = tokenizer
        self._template = (_DATED if "strftime_now" in template else "") + template
        self._backend = bare_tokenizer(tokenizer)
        self._called = called
        self._frames: dict[tuple[str, ...], Frame] = {}

    def rows(self, prompts: Sequence[PromptLine]) -> list[TokenRow]:
        """Return the tokens of each prompt.

        Raises:
            UserError: the template changes or refuses a prompt; the error names the prompt.
        """
        rows = []
        for row in self.rows_or_faults(prompts):
            if isinstance(row, UserError):
                raise row
            rows.append(row)
        return rows

    def rows_or_faults(self, prompts: Sequence[PromptLine]) -> list[TokenRow | UserError]:
        """Return the tokens of each prompt, or why the template does not take it."""
        rendered = [self._try(self._render_prompt, prompt) for prompt in prompts]
        texts = [each[0] for each in rendered if not isinstance(each, UserError)]
        encodings = iter(self._backend.encode_batch(texts, add_special_tokens=False))
        rows: list[TokenRow | UserError] = []
        for prompt, each in zip(prompts, rendered, strict=True):
            if isinstance(each, UserError):
                rows.append(each)
                continue
            encoding, (text, spans) = next(encodings), each
            rows.append(self._try(self._row, prompt, encoding.ids, encoding.offsets, text, spans))
        return rows

    @staticmethod
    def _try(do: Callable[_P, _Made], *args: _P.args, **kwargs: _P.kwargs) -> _Made | UserError:
        try:
            return do(*args, **kwargs)
        except UserError as fault:
            return fault

    def _render_prompt(self, prompt: PromptLine) -> tuple[str, list[tuple[int, int]]]:
        """Render a prompt; return its text, and start and end of each segment in it."""
        where = self._name(prompt)
        contents = [without_marks(segment).strip() for segment in prompt["segments"]]
        if len(contents) > 1 and not contents[-1]:
            contents.pop()  # an answer without words is still to be generated
        told = [segment["role"] for segment in prompt["segments"][: len(contents)]]
        roles = tuple(CHAT_ROLES.get(role, role) for role in told)
        if roles not in self._frames:
            self._frames[roles] = self._frame(roles, where)
        frame = self._frames[roles]
        text, spans = frame.markup[0], []
        for content, after in zip(contents, frame.markup[1:], strict=True):
            spans.append((len(text), len(text) + len(content)))
            text += content + after
        spans[-1] = (spans[-1][0] - frame.lead, spans[-1][1])
        if self._render(roles, contents, where) + frame.opening != text:
            raise UserError(
                "the chat template changes or drops text of a message", where=where, hint=_WITHOUT
            )
        return text, spans

    def ends_of(self, roles: tuple[str, ...]) -> Frame:
        """Return the markup around messages of these roles. Raises UserError where it is not known.

        Args:
            roles: of the messages, in order.
        """
        return self._frame(roles, "template")

    def _frame(self, roles: tuple[str, ...], where: str) -> Frame:
        """Render stand-ins in these roles, and return the markup around them."""
        marks = [_MARK.format(number) for number in range(len(roles))]
        rest = whole = self._render(roles, marks, where)
        markup = []
        for mark in marks:
            before, separator, rest = rest.partition(mark)
            if not separator or mark in rest:
                raise UserError(
                    "the chat template does not print every message exactly once, in order",
                    where=where,
                    hint=_WITHOUT,
                )
            markup.append(before)
        if _is_answered(roles):
            lead = self._lead(roles, marks, whole, where)
            return Frame(markup=(*markup, rest), lead=lead)
        opening = "" if roles[-1] == _ANSWERER else self._opening(roles, marks, whole, where)
        return Frame(markup=(*markup, rest + opening), lead=0, opening=opening)

    def _opening(self, roles: tuple[str, ...], marks: Sequence[str], whole: str, where: str) -> str:
        """Return what comes before an answer, where the template leaves it out without one."""
        if whole != self._render(roles, marks, where, begins=False):
            return ""  # it begins an answer where it is asked to
        mark = _MARK.format(len(marks))
        try:
            answered = self._render((*roles, _ANSWERER), (*marks, mark), where)
        except UserError:
            return ""  # it takes no answer there
        before, separator, _ = answered.partition(mark)
        if not separator or not before.startswith(whole):
            return ""
        opening = before[len(whole) :]
        return opening.rstrip(" ") if opening.strip() else ""

    def _lead(self, roles: tuple[str, ...], marks: Sequence[str], whole: str, where: str) -> int:
        unanswered = self._render(roles[:-1], marks[:-1], where)
        if not whole.startswith(unanswered):
            # Some ask for thoughts (`<think>`) that an answer which is given stands without.
            unanswered = self._render(roles[:-1], marks[:-1], where, begins=False)
        if not whole.startswith(unanswered):
            raise UserError(
                "in the chat template an answered prompt does not begin as the same prompt does "
                "before its answer",
                where=where,
                hint=_WITHOUT,
            )
        lead = whole[len(unanswered) :].partition(marks[-1])[0]
        # Behind words of the template, only a blank may begin the answer's first token.
        return len(lead) - len(lead.rstrip(" ")) if lead.strip() else len(lead)

    def _render(
        self, roles: Sequence[str], texts: Sequence[str], where: str, *, begins: bool = True
    ) -> str:
        """Render messages; without an answer, up to where the answer would begin if it `begins`."""
        messages = [
            {"role": role, "content": text} for role, text in zip(roles, texts, strict=True)
        ]
        try:
            text: str = self._tokenizer.apply_chat_template(
                messages,
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=begins and roles[-1] != _ANSWERER,
            )
            return encodable(text, "what the chat template writes")
        except RowFault as fault:
            raise UserError(str(fault), where=where, hint=_WITHOUT) from None
        except Exception as error:  # a template is a program, and raises whatever it meets
            raise UserError(
                f"the chat template refuses these messages: {error}", where=where
            ) from error

    def _row(
        self,
        prompt: PromptLine,
        ids: Sequence[int],
        offsets: Sequence[tuple[int, int]],
        text: str,
        spans: Sequence[tuple[int, int]],
    ) -> TokenRow:
        """Assign each token to the segment whose text it holds, or to the markup.

        A token of a segment may hold white space of the markup, too, but no other markup. White
        space before an answer that a token of the markup takes in belongs to the markup.
        """
        bos = self._tokenizer.bos_token_id
        row: TokenRow = []
        number = 0
        for index, (token, (start, end)) in enumerate(zip(ids, offsets, strict=True)):
            while number < len(spans) and spans[number][1] <= max(start, spans[number][0]):
                number += 1  # the segment has ended, or is empty
            markup = (token, "bos" if index == 0 and token == bos else "template", -1)
            # A tokenizer may put a token before a text that stands for no character of it.
            if number == len(spans) or spans[number][0] >= max(end, start + 1):
                row.append(markup)
                continue
            first, last = spans[number]
            outside = text[start:first] + text[last:end]  # empty where nothing protrudes
            if not outside.strip():
                row.append((token, prompt["segments"][number]["role"], number))
            elif not text[max(start, first) : min(end, last)].strip():
                row.append(markup)
            else:
                raise UserError(
                    "one token holds text of the prompt and of the chat template",
                    where=self._name(prompt),
                    hint=_WITHOUT,
                )
        self._check_one_bos(prompt, row)
        return row

    def _name(self, prompt: PromptLine) -> str:
        return f"{self._called} {prompt['prompt']}"

    def _check_one_bos(self, prompt: PromptLine, row: TokenRow) -> None:
        bos = self._tokenizer.bos_token_id
        if bos is None:
            return
        is_bos = [token == bos for token, _, _ in row]
        is_said = any(
            here and segment >= 0 for here, (_, _, segment) in zip(is_bos, row, strict=True)
        )
        # A template may begin every turn with it. A token that also ends texts may occur anywhere;
        # but not twice at the start.
        is_doubled = any(here and after for here, after in pairwise(is_bos))
        ends_texts = bos == self._tokenizer.eos_token_id
        if (
            all(is_bos[:2])
            and is_doubled
            or not ends_texts
            and (is_doubled or (is_said and sum(is_bos) > 1))
        ):
            raise UserError(
                f"more than one {self._tokenizer.bos_token} begins the text",
                where=self._name(prompt),
                hint="leave it out of the prompt's text: the chat template adds one",
            )


def chat_template_of(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return the chat template of a tokenizer, its default one where it has several, or None."""
    if tokenizer.chat_template is None:
        return None
    try:
        return str(tokenizer.get_chat_template())
    except ValueError:  # several templates, and none of them is the default
        return None


def no_template(tokenizer: PreTrainedTokenizerBase, whose: str) -> UserError:
    """Make the fault of a tokenizer without a template that `chat_template_of` finds."""
    named = tokenizer.chat_template
    several = f"chat templates {', '.join(named)}, and none of the name default" if named else None
    beside = Path(tokenizer.name_or_path) / _OF_PROCESSORS
    if several:
        hint = "write the one to use into chat_template.jinja beside the tokenizer"
    elif beside.is_file():
        hint = f"{_OF_PROCESSORS} is read by processors of images alone: write its template into "
        hint += "chat_template.jinja"
    else:
        hint = None
    return UserError(
        f"the tokenizer of {whose} has {several or 'no chat template'}",
        where="template",
        allowed=["none"],
        hint=hint,
    )


def notes_on_openings(tokenizer: PreTrainedTokenizerBase, template: str) -> Sequence[str]:
    """Say where prompts end otherwise before an answer that is asked for and one that is given.

    Args:
        tokenizer: renders the template.
        template: the chat template (Jinja).
    """
    asked = ("user",)
    try:
        rows = ChatRows(tokenizer, template)
        ends = rows.ends_of(asked), rows.ends_of((*asked, _ANSWERER))
    except UserError:
        return ()  # whoever renders prompts says it of them
    if ends[0].opening:
        return (
            "the chat template begins no answer where it is asked to (add_generation_prompt): "
            f"{ends[0].opening!r}, which it writes before answers, is put behind prompts",
        )
    begun, given = ends[0].markup[-1], ends[1].markup[-2]
    if given.rstrip() == begun.rstrip():
        return ()
    return (
        f"before an answer that is asked for the chat template writes {begun!r}, before one that "
        f"is given {given!r}: prompts with an answer, and pairs, end as the second",
    )


def note_on_marks(
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    texts: Sequence[tuple[int, str]],
    called: str,
    as_far_as: str = "",
) -> Sequence[str]:
    """Say in which texts stands what the template writes itself: they may be in one already.

    Args:
        tokenizer: its special tokens are looked for.
        template: the chat template (Jinja).
        texts: number of each text, and what is said in it; several of one row may share a number.
        called: what a text is called: `prompt`, `row`.
        as_far_as: what is said where these are not all.
    """
    added = tokenizer.added_tokens_decoder.values()
    marks = [token.content for token in added if token.special and token.content in template]
    said = [mark for mark in marks if any(mark in text for _, text in texts)]
    if not said:
        return ()
    numbers = [number for number, text in texts if any(mark in text for mark in said)]
    return (
        f"the texts of {row_numbers(numbers, called)} hold {', '.join(said)}{as_far_as}, which "
        "the chat template writes itself: what stands in a template already needs template: none",
    )


def _is_answered(roles: Sequence[str]) -> bool:
    return roles[-1] == _ANSWERER and len(roles) > 1
