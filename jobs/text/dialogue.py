"""Preferences between two dialogues that part in their last answer, as pairs and as prompts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.text.format import Dropped, Pair, Prompt, Reading, Segment
from jobs.text.held_out import is_held_out, pairs_to_train_on

Markers = Mapping[str, str]
"""Role -> what stands before its turns."""

HUMAN_ASSISTANT: Markers = {
    "system": "\n\nSystem:",
    "user": "\n\nHuman:",
    "assistant": "\n\nAssistant:",
}
"""As HH-RLHF writes dialogues."""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Two dialogues of a row, one preferred; a turn has the words after its marker."""

    row: int
    """Row of the source, from 1."""
    chosen: Sequence[Segment]
    """The preferred one, at least one turn."""
    rejected: Sequence[Segment]
    """The other one, at least one turn."""


def pairs_of(preferences: Iterable[Preference], markers: Markers, held_out: float) -> Reading[Pair]:
    """Make pairs to train on: the shared turns as prompt, and both last answers."""
    results = [_pair(preference, markers) for preference in preferences]
    pairs = [result for result in results if isinstance(result, Pair)]
    trained = pairs_to_train_on(pairs, held_out)
    dropped = [result for result in results if isinstance(result, Dropped)]
    return Reading(items=trained.items, dropped=dropped + trained.dropped)


def prompts_of(
    preferences: Iterable[Preference], markers: Markers, held_out: float
) -> Reading[Prompt]:
    """Select dialogues of held-out prompts (all, where none is), the preferred answer last."""
    prompts, dropped = [], []
    for preference in preferences:
        pair = _pair(preference, markers)
        if isinstance(pair, Dropped):
            dropped.append(pair)
        elif held_out == 0 or is_held_out(pair.prompt, held_out):
            segments, others = (
                tuple(_segments(side, markers)) for side in (preference.chosen, preference.rejected)
            )
            prompts.append(
                Prompt(row=pair.row, source=pair.prompt, segments=segments, rejected=others[-1])
            )
    return Reading(items=prompts, dropped=dropped)


def _pair(preference: Preference, markers: Markers) -> Pair | Dropped:
    assert preference.chosen and preference.rejected, f"row {preference.row} has an empty side"
    *turns, chosen = preference.chosen
    *other_turns, rejected = preference.rejected
    reason = None
    if (chosen.role, rejected.role) != ("assistant", "assistant"):
        reason = "the last turn of a side is not the assistant's"
    elif turns != other_turns:
        reason = "the sides part before their last answer"
    elif not turns:
        reason = "nothing is said before the answer"
    elif not (chosen.text.strip() and rejected.text.strip()):
        reason = "an answer is empty"
    if reason is not None:
        return Dropped(row=preference.row, reason=reason, useless=True)
    transcript = "".join(markers[turn.role] + turn.text for turn in turns)
    return Pair(
        row=preference.row,
        prompt=transcript + markers["assistant"],
        chosen=chosen.text,
        rejected=rejected.text,
        turns=tuple(turns),
    )


def _segments(turns: Sequence[Segment], markers: Markers) -> Iterable[Segment]:
    """Yield a segment per turn; the assistant's marker ends the turn before, as in pairs."""
    for number, turn in enumerate(turns):
        before = markers[turn.role] if number == 0 or turn.role != "assistant" else ""
        follows = turns[number + 1].role if number + 1 < len(turns) else None
        after = markers["assistant"] if follows == "assistant" else ""
        text = before + turn.text + after
        start = len(before) + len(turn.text) - len(turn.text.lstrip())
        end = max(start, len(before) + len(turn.text.rstrip()))
        yield Segment(role=turn.role, text=text, payload=(start, end))
