"""Preferences between two dialogues that part in their last answer, as pairs and as prompts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.text.held_out import is_held_out, pairs_to_train_on
from jobs.text.reading import Dropped, Pair, Prompt, Reading, Segment

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
            chosen, rejected = (spoken("assistant", text) for text in (pair.chosen, pair.rejected))
            prompts.append(
                Prompt(
                    row=pair.row,
                    source=pair.prompt,
                    segments=(*pair.turns, chosen),
                    rejected=rejected,
                )
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
    segments = tuple(_segments(turns, markers))
    return Pair(
        row=preference.row,
        prompt="".join(segment.text for segment in segments),
        chosen=chosen.text,
        rejected=rejected.text,
        turns=segments,
    )


def _segments(turns: Sequence[Segment], markers: Markers) -> Iterable[Segment]:
    """Yield a segment per turn before an answer; the assistant's marker ends the turn before it."""
    roles = [*(turn.role for turn in turns), "assistant"]
    for number, turn in enumerate(turns):
        before = markers[turn.role] if number == 0 or turn.role != "assistant" else ""
        after = markers["assistant"] if roles[number + 1] == "assistant" else ""
        yield spoken(turn.role, turn.text, before, after)


def spoken(role: str, text: str, before: str = "", after: str = "") -> Segment:
    """Return a turn between marks; white space around its text is none of its words."""
    start = len(before) + len(text) - len(text.lstrip())
    end = max(start, len(before) + len(text.rstrip()))
    return Segment(role=role, text=before + text + after, payload=(start, end))
