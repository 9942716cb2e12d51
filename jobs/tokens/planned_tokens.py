"""What the models of a study will make of its prompts, looked at before anything runs.

The same checks as in the jobs, on what is here already: folders, the hub's cache, sources of data.
Nothing heavy is imported where nothing can go wrong: no template, one tokenizer, no extra tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

from jobs.kind import Upstream
from jobs.models.model_facts import require_one_shape
from jobs.models.other_settings import computed_otherwise
from jobs.text.planned import First, Planned
from jobs.text.prompt_lines import PromptLine
from jobs.text.rows.fault import listed
from jobs.tokens.moved_borders import moved_in_prompts, note_on_borders
from jobs.tokens.planned_tokenizer import PlannedTokenizer, planned_tokenizer
from jobs.tokens.text_bounds import ANY_LENGTH


def check_prompts_of_pair(
    prompts: Planned[PromptLine],
    base: Upstream | None,
    aligned: Upstream | None,
    template: Literal["none", "chat"] = "none",
) -> Sequence[str]:
    """Try prompts on the tokenizers of two models; say which are left out, where borders move.

    And say where the two models compute otherwise.

    Args:
        prompts: that the job will read.
        base: what the plan knows of the base.
        aligned: what it knows of the aligned model.
        template: whether prompts will stand in a chat template.

    Raises:
        UserError: the models differ in shape, their tokenizers give a prompt other ids, it has a
            token without an embedding, or the template refuses too many; as the job would.
    """
    first, second = require_planned_pair(base, aligned)
    if first is None or second is None:
        return ()
    borders = _borders(prompts, first) if template == "none" else ()
    return (
        *notes_on_settings(first, second),
        *_try_on_pair(prompts, first, second, template),
        *borders,
    )


def notes_on_settings(
    first: PlannedTokenizer | None, second: PlannedTokenizer | None
) -> Sequence[str]:
    """Say in what two models that are compared compute otherwise, whatever their weights.

    Args:
        first: the base's, which knows its model.
        second: the aligned model's.
    """
    if first is None or second is None or first.model == second.model:
        return ()
    differences = computed_otherwise(first.config, second.config)
    if differences is None:
        return ()
    return (
        f"base and aligned model compute otherwise whatever their weights: {differences}; what is "
        "measured between them holds that, too. Is this the base that the other was made from, and "
        "its config.json as it was trained?",
    )


def require_planned_pair(
    base: Upstream | None, aligned: Upstream | None
) -> tuple[PlannedTokenizer | None, PlannedTokenizer | None]:
    """Return the tokenizers of two models that are compared, as far as they are here.

    Raises:
        UserError: both are here and are not two states of one model.
    """
    first, second = planned_tokenizer(base), planned_tokenizer(aligned)
    if first is not None and second is not None:
        require_one_shape(first.facts, second.facts, f"{first.model} and {second.model}")
    return first, second


@lru_cache(maxsize=256)
def _borders(prompts: Planned[PromptLine], tokenizer: PlannedTokenizer) -> Sequence[str]:
    first = prompts.first
    if all(len(line["segments"]) < 2 for line in first.items):
        return ()
    moved = moved_in_prompts(first.items, tokenizer.bare())
    return note_on_borders(moved, len(first.items), first.count, "prompt")


@lru_cache(maxsize=256)
def _try_on_pair(
    prompts: Planned[PromptLine],
    first: PlannedTokenizer,
    second: PlannedTokenizer,
    template: Literal["none", "chat"],
) -> Sequence[str]:
    differ = not first.has_files_of(second)
    if template == "none" and not differ and not (first.is_larger or second.is_larger):
        return ()
    from jobs.tokens.agreement import require_same_ids

    shown = prompts.first
    if not shown.items:
        return ()
    markup = None
    if template == "chat":
        markup = _markup(first, second)
        if markup is None:  # the job may find one in a file that is not here
            return (_absent_template(first, second),)
    if differ:
        where = f"{first.folder} and {second.folder}"
        is_templated = markup is not None
        require_same_ids(
            first.load(), second.load(), shown.items, is_templated=is_templated, where=where
        )
    models = {"base": first, "aligned model": second}
    return _try(shown, second if markup else first, markup, models)


def _markup(first: PlannedTokenizer, second: PlannedTokenizer) -> str | None:
    from jobs.tokens.chat import chat_template_of

    return chat_template_of(second.load()) or chat_template_of(first.load())


def _absent_template(first: PlannedTokenizer, second: PlannedTokenizer) -> str:
    from jobs.tokens.chat import no_template

    faults = {"the base": first.load(), "the aligned model": second.load()}
    told = [no_template(tokenizer, whose) for whose, tokenizer in faults.items()]
    hints = dict.fromkeys(fault.hint for fault in told if fault.hint)
    return (
        f"{'; '.join([*(fault.error for fault in told), *hints])}; without one the job is refused"
    )


def planned_reader(
    base: Upstream | None, aligned: Upstream | None, template: Literal["none", "chat"]
) -> tuple[PlannedTokenizer | None, str | None]:
    """Return the tokenizer that prompts of a pair are read with, and the chat template (Jinja).

    Args:
        base: what the plan knows of the base.
        aligned: what it knows of the aligned model.
        template: whether prompts will stand in a chat template.

    Returns:
        None and None where they are not here.

    Raises:
        UserError: a tokenizer cannot be read.
    """
    first, second = planned_tokenizer(base), planned_tokenizer(aligned)
    if template == "none":
        return first, None
    markup = None if first is None or second is None else _markup(first, second)
    return (None, None) if markup is None else (second, markup)


def check_prompts(prompts: Planned[PromptLine], model: Upstream | None) -> Sequence[str]:
    """Try the prompts on the tokenizer of one model; say where borders move.

    Raises:
        UserError: a prompt has a token that the model has no embedding for.
    """
    tokenizer = planned_tokenizer(model)
    if tokenizer is None:
        return ()
    if tokenizer.is_larger:
        _try_on_one(prompts, tokenizer)
    return _borders(prompts, tokenizer)


@lru_cache(maxsize=256)
def _try_on_one(prompts: Planned[PromptLine], tokenizer: PlannedTokenizer) -> None:
    if prompts.first.items:
        _try(prompts.first, tokenizer, None, {"model": tokenizer})


def _try(
    prompts: First[PromptLine],
    tokenizer: PlannedTokenizer,
    markup: str | None,
    models: Mapping[str, PlannedTokenizer],
) -> Sequence[str]:
    """Tokenise prompts as a job would; say which of them are left out."""
    from jobs.tokens.plan import build_token_plan, require_embeddings

    plan, left_out = build_token_plan(prompts.items, tokenizer.load(), ANY_LENGTH, markup)
    for name, model in models.items():
        require_embeddings(
            plan,
            model.num_rows,
            name,
            tokenizer.load,
            without_markup="extract with template: none",
        )
    notes = [] if markup is None else [*_marks(prompts, tokenizer, markup)]
    if refused := left_out.refused_by_reason():
        count = f"{len(left_out.refused)} of {prompts.count} prompts"
        reasons = listed(refused, "prompt")
        notes.append(f"{count} are left out{prompts.as_far_as}: {reasons}")
    return tuple(notes)


def _marks(prompts: First[PromptLine], tokenizer: PlannedTokenizer, markup: str) -> Sequence[str]:
    from jobs.tokens.chat import note_on_marks, notes_on_openings

    said = [" ".join(part["text"] for part in line["segments"]) for line in prompts.items]
    texts = [(line["prompt"], text) for line, text in zip(prompts.items, said, strict=True)]
    marks = note_on_marks(tokenizer.load(), markup, texts, "prompt", prompts.as_far_as)
    return [*marks, *notes_on_openings(tokenizer.load(), markup)]
