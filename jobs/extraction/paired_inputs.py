"""The paired inputs of a comparison: two checkpoints of one shape, and the tokens they share.

A released chat model may have tokens that its base lacks, and a larger embedding: then only tokens
that both models have an embedding for may be used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from cluster.errors import UserError
from jobs.artifacts.artifact import Artifact
from jobs.models.family import family_of_config
from jobs.models.folder import read_config
from jobs.models.loading import load_tokenizer
from jobs.models.model_facts import COMPUTED_OTHERWISE, ModelFacts, require_one_shape
from jobs.models.other_settings import computed_otherwise
from jobs.shared_params import CutParams
from jobs.text.prompt_lines import PROMPTS, PromptLine, read_prompts
from jobs.tokens.agreement import require_same_ids
from jobs.tokens.chat import chat_template_of
from jobs.tokens.first_tokens import FirstTokens
from jobs.tokens.plan import LeftOut, TokenPlan, build_token_plan, require_embeddings
from jobs.tokens.text_bounds import ANY_LENGTH

_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "tokenizer.model", "vocab.json", "merges.txt"),
)


def require_common_model(base: Artifact, aligned: Artifact) -> ModelFacts:
    """Return the facts of the base model; raise UserError when the aligned one differs in shape."""
    model: ModelFacts = base.facts["model"]
    where = f"{base.folder} and {aligned.folder}"
    require_one_shape(model, aligned.facts["model"], where)
    return model


def settings_facts(base: Artifact, aligned: Artifact) -> dict[str, str]:
    """Return the fact that two models compute otherwise whatever their weights; none if alike."""
    configs = (read_config(model.directory("model")) for model in (base, aligned))
    differences = computed_otherwise(*configs)
    return {} if differences is None else {COMPUTED_OTHERWISE: differences}


def build_shared_plan(
    base: Artifact,
    aligned: Artifact,
    prompts: Artifact,
    max_length: int | None,
    template: Literal["none", "chat"] = "none",
    *,
    cut: CutParams,
) -> tuple[TokenPlan, LeftOut]:
    """Tokenise prompts for both models.

    Args:
        base: the base model.
        aligned: the aligned model.
        prompts: the prompts.
        max_length: most tokens of a prompt once it is cut; None: as long as they are.
        template: `chat` puts prompts into the chat template of the aligned model, or the base's.
        cut: how many first tokens of prompts and answers are kept.

    Returns:
        The token plan, and the ids of prompts that are too long for it or refused.

    Raises:
        UserError: the tokenizers of the two models give a prompt other ids, a token has no
            embedding in one model, there is no chat template, or it refuses too many.
    """
    first, second = _TokenizerFiles.of(base), _TokenizerFiles.of(aligned)
    chat = find_chat_template(base, aligned) if template == "chat" else None
    require_shared_ids(
        base,
        aligned,
        lambda: read_prompts(prompts.path(PROMPTS)),
        is_templated=chat is not None,
    )
    config = read_config(second.folder)
    most = family_of_config(config).shape(config).max_positions
    # Without a template only the base's tokenizer matters: one plan serves every model of a base.
    plan, left_out = _plan(
        prompts.path(PROMPTS),
        prompts.record_digest,
        first,
        second if chat is not None else first,
        ANY_LENGTH if max_length is None else min(max_length, most),
        chat,
        cut.first,
    )
    for name, model in (("base", base), ("aligned model", aligned)):
        require_embeddings(
            plan,
            int(model.facts["model"]["vocab_size"]),
            name,
            lambda: load_tokenizer(second.folder),
            without_markup="extract with template: none",
        )
    return plan, left_out


def require_shared_ids(
    base: Artifact,
    aligned: Artifact,
    read_lines: Callable[[], Sequence[PromptLine]],
    *,
    is_templated: bool,
) -> None:
    """Require that two tokenizers which are not the same files give texts the same ids.

    Args:
        base: the base model.
        aligned: the aligned model.
        read_lines: reads the texts, where they have to be tried.
        is_templated: whether they will stand in a chat template, which begins texts itself.

    Raises:
        UserError: ids differ; with the first text in which they do.
    """
    first, second = _TokenizerFiles.of(base), _TokenizerFiles.of(aligned)
    if first.files == second.files:
        return
    require_same_ids(
        load_tokenizer(first.folder),
        load_tokenizer(second.folder),
        read_lines(),
        is_templated=is_templated,
        where=f"{base.folder} and {aligned.folder}",
    )


def find_chat_template(base: Artifact, aligned: Artifact) -> str:
    """Return the aligned model's chat template (Jinja), or the base's where it has none.

    Raises:
        UserError: neither model has one.
    """
    for model in (aligned, base):
        template = chat_template_of(load_tokenizer(model.directory("model")))
        if template is not None:
            return template
    raise UserError(
        "neither the aligned model nor its base has a chat template",
        where=f"{base.folder} and {aligned.folder}",
        hint="extract with template: none",
    )


@dataclass(frozen=True, kw_only=True)
class _TokenizerFiles:
    """The tokenizer of a model; two with the same files are equal, whatever their folders."""

    files: tuple[tuple[str, str], ...]
    """Name and digest of each file that decides ids."""
    folder: Path = field(compare=False)
    """The folder of the files."""

    @classmethod
    def of(cls, model: Artifact) -> _TokenizerFiles:
        """Return the tokenizer of a checkpoint."""
        entries = {name: model.record.files.get(f"model/{name}") for name in _TOKENIZER_FILES}
        return cls(
            files=tuple((name, entry.xxh3) for name, entry in entries.items() if entry is not None),
            folder=model.directory("model"),
        )


@lru_cache(maxsize=4)
def _plan(
    prompts: Path,
    prompts_record: str,
    base: _TokenizerFiles,
    tokenizer: _TokenizerFiles,
    max_length: int,
    template: str | None,
    first: FirstTokens,
) -> tuple[TokenPlan, LeftOut]:
    """Build a plan once for all pairs with these prompts and tokenizers, which key the cache."""
    return build_token_plan(
        read_prompts(prompts), load_tokenizer(tokenizer.folder), max_length, template, first=first
    )
