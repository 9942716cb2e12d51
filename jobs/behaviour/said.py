"""What a model says after each prompt, greedily."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from jobs.behaviour.continuing import continuations
from jobs.behaviour.subject import Subject
from jobs.tokens.positions import find_positions

CONTINUATIONS = "continuations.parquet"


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """Greedy continuations of the prompts that have something to continue."""

    places: Int64[np.ndarray, " prompts"]
    """Which prompts of the plan."""
    token_ids: Sequence[Sequence[int]]
    """What was said after each."""
    texts: Sequence[str]
    """The same as text."""
    new_tokens: int
    """Most tokens each could have."""


def say(
    subject: Subject, new_tokens: int, *, token_budget: int, after_batch: Callable[[int], None]
) -> Said:
    """Continue every prompt from its last token before the final answer."""
    plan = subject.plan
    last = [place.tokens for place in find_positions(plan, ("last",), 0)]
    ends = np.flatnonzero(last[0]) if last else np.zeros(0, dtype=np.int64)
    starts = plan.offsets[plan.owners[ends]]
    said = continuations(
        subject.model,
        [plan.token_ids[a : b + 1].tolist() for a, b in zip(starts, ends, strict=True)],
        new_tokens,
        token_budget=token_budget,
        after_batch=after_batch,
    )
    texts = subject.tokenizer.batch_decode(said, skip_special_tokens=True)
    return Said(
        places=plan.owners[ends].astype(np.int64),
        token_ids=said,
        texts=texts,
        new_tokens=new_tokens,
    )


def write_continuations(folder: Path, subject: Subject, said: Said) -> None:
    """Token ids by prompt; no text."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    columns = {
        "prompt": pa.array(subject.plan.prompts[said.places], pa.int64()),
        "token_ids": pa.array(said.token_ids, pa.list_(pa.int32())),
    }
    parquet.write_table(pa.table(columns), folder / CONTINUATIONS)
