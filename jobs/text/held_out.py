"""Prompts held out of training for measurement: chosen by hash, the same on every machine."""

from collections.abc import Sequence

from pydantic import Field

from jobs.text.buckets import bucket
from jobs.text.format import Options
from jobs.text.reading import Dropped, Pair, Prompt, Reading, Segment

_STEPS = 10_000


class HeldOutOptions(Options):
    """Options of a format whose rows are pairs."""

    held_out: float = Field(
        0.0, ge=0, lt=1, description="share of prompts that pairs leave to measurement"
    )


def is_held_out(prompt: str, fraction: float) -> bool:
    """Tell whether a prompt is held out; a larger fraction holds out the same ones and more.

    The hash is salted, so that held-out prompts spread over all groups.
    """
    return bucket(f"held out/{prompt}", _STEPS) < round(fraction * _STEPS)


def pairs_to_train_on(pairs: Sequence[Pair], fraction: float) -> Reading[Pair]:
    """Select the pairs whose prompt is not held out; list the others as dropped."""
    held_out = [is_held_out(pair.prompt, fraction) for pair in pairs]
    return Reading(
        items=[pair for pair, out in zip(pairs, held_out, strict=True) if not out],
        dropped=[
            Dropped(row=pair.row, reason="held out for measurement")
            for pair, out in zip(pairs, held_out, strict=True)
            if out
        ],
    )


def prompts_to_measure(pairs: Sequence[Pair], fraction: float) -> Reading[Prompt]:
    """Select held-out prompts (all, where none is held out), the chosen side as response."""
    chosen = [pair for pair in pairs if fraction == 0 or is_held_out(pair.prompt, fraction)]
    return Reading(
        items=[
            Prompt(
                row=pair.row,
                source=pair.prompt,
                segments=(
                    Segment(role="prompt", text=pair.prompt),
                    Segment(role="response", text=pair.chosen),
                ),
                rejected=Segment(role="response", text=pair.rejected),
            )
            for pair in chosen
        ]
    )
