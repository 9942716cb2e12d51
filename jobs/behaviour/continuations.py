"""`Continuations`: what a model writes after each prompt, by greedy decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from jaxtyping import Int64

from jobs.behaviour.decoding import decode
from jobs.behaviour.prompted_model import PromptedModel
from jobs.tokens.continued_texts import texts_behind
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import find_positions

CONTINUATIONS = "continuations.parquet"


@dataclass(frozen=True, kw_only=True, eq=False)
class Continuations:
    """Greedy continuations of the prompts that have something to continue."""

    places: Int64[np.ndarray, " prompts"]
    """Indices of these prompts in the plan."""
    token_ids: Sequence[Sequence[int]]
    """Tokens of each continuation."""
    texts: Sequence[str]
    """The same as text, as it stands behind the prompt."""
    new_tokens: int
    """Most tokens each could have."""
    note: str | None = None
    """What to know about values that are read off them."""


def continue_prompts(
    prompted: PromptedModel,
    new_tokens: int,
    *,
    token_budget: int,
    after_batch: Callable[[int], None],
) -> Continuations:
    """Continue every prompt from its last token before the final answer."""
    places, prompts = prompts_to_continue(prompted.plan)
    token_ids = decode(
        prompted.model,
        prompts,
        new_tokens,
        token_budget=token_budget,
        after_batch=after_batch,
    )
    return Continuations(
        places=places,
        token_ids=token_ids,
        texts=texts_behind(prompted.tokenizer, prompts, token_ids),
        new_tokens=new_tokens,
    )


def prompts_to_continue(
    plan: TokenPlan,
) -> tuple[Int64[np.ndarray, " prompts"], list[list[int]]]:
    """Return the prompts that have something to continue: their indices, and tokens of each."""
    last = [position.tokens for position in find_positions(plan, ("last",), 0)]
    ends = np.flatnonzero(last[0]) if last else np.zeros(0, dtype=np.int64)
    places = plan.owners[ends].astype(np.int64)
    starts = plan.offsets[places]
    prompts = [plan.token_ids[a : b + 1].tolist() for a, b in zip(starts, ends, strict=True)]
    return places, prompts


def write_continuations(
    folder: Path, prompted: PromptedModel, continuations: Continuations
) -> None:
    """Write token ids by prompt, and no text."""
    columns = {
        "prompt": pa.array(prompted.plan.prompts[continuations.places], pa.int64()),
        "token_ids": pa.array(continuations.token_ids, pa.list_(pa.int32())),
    }
    parquet.write_table(pa.table(columns), folder / CONTINUATIONS)
