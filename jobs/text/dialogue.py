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
class Turn:
    """What one speaker says at a time."""

    role: str
    """`system`, `user` or `assistant`."""
    text: str
    """As it follows its marker, the space between both included."""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Two dialogues of a row."""

    row: int
    """Row of the source, from 1."""
    chosen: Sequence[Turn]
    """The preferred one, at least one turn."""
    rejected: Sequence[Turn]
    """The other one, at least one turn."""


def pairs_of(preferences: Iterable[Preference], markers: Markers, held_out: float) -> Reading[Pair]:
    """Pairs to train on: the shared turns up to where an answer is asked for, and both answers."""
    found = [_pair(preference, markers) for preference in preferences]
    pairs = [each for each in found if isinstance(each, Pair)]
    trained = pairs_to_train_on(pairs, held_out)
    dropped = [each for each in found if isinstance(each, Dropped)]
    return Reading(items=trained.items, dropped=dropped + trained.dropped)


def prompts_of(
    preferences: Iterable[Preference], markers: Markers, held_out: float
) -> Reading[Prompt]:
    """Dialogues of held-out prompts (all, where none is held out), the preferred answer last."""
    prompts, dropped = [], []
    for preference in preferences:
        found = _pair(preference, markers)
        if isinstance(found, Dropped):
            dropped.append(found)
        elif held_out == 0 or is_held_out(found.prompt, held_out):
            segments = tuple(_segments(preference.chosen, markers))
            prompts.append(Prompt(row=found.row, source=found.prompt, segments=segments))
    return Reading(items=prompts, dropped=dropped)


def _pair(preference: Preference, markers: Markers) -> Pair | Dropped:
    assert preference.chosen and preference.rejected, f"row {preference.row} has an empty side"
    *asked, chosen = preference.chosen
    *also_asked, rejected = preference.rejected
    reason = None
    if (chosen.role, rejected.role) != ("assistant", "assistant"):
        reason = "the last turn of a side is not the assistant's"
    elif asked != also_asked:
        reason = "the sides part before their last answer"
    elif not asked:
        reason = "nothing is said before the answer"
    elif not (chosen.text.strip() and rejected.text.strip()):
        reason = "an answer is empty"
    if reason is not None:
        return Dropped(row=preference.row, reason=reason)
    spoken = "".join(markers[turn.role] + turn.text for turn in asked)
    return Pair(
        row=preference.row,
        prompt=spoken + markers["assistant"],
        chosen=chosen.text,
        rejected=rejected.text,
        turns=tuple(Segment(role=turn.role, text=turn.text) for turn in asked),
    )


def _segments(turns: Sequence[Turn], markers: Markers) -> Iterable[Segment]:
    """A turn each; what asks for an answer ends the turn before it, as in the prompt of a pair."""
    for number, turn in enumerate(turns):
        before = markers[turn.role] if number == 0 or turn.role != "assistant" else ""
        follows = turns[number + 1].role if number + 1 < len(turns) else None
        after = markers["assistant"] if follows == "assistant" else ""
        text = before + turn.text + after
        start = len(before) + len(turn.text) - len(turn.text.lstrip())
        end = max(start, len(before) + len(turn.text.rstrip()))
        yield Segment(role=turn.role, text=text, payload=(start, end))
