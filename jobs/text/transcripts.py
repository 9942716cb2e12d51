"""Tells answers that are whole transcripts, whose questions and marks would be learned."""

import re
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import UserError

_MOST = 0.5
"""Share of rows from which transcripts are no answers that were asked for."""
_ASKS_AND_ANSWERS = re.compile(
    "|".join(
        (
            r"<\|im_start\|>\s*(?:system|user)\b.*<\|im_start\|>\s*assistant\b",
            r"(?:<s>|<\|begin_of_text\|>)?\s*\[INST\].*\[/INST\]",
            r"(?:<\|begin_of_text\|>)?<\|start_header_id\|>\s*(?:system|user)\b.*\|>\s*assistant\b",
            r"(?:<bos>)?<start_of_turn>\s*user\b.*<start_of_turn>\s*model\b",
            r"<\|(?:system|user|prompter)\|>.*<\|assistant\|>",
            r"(?:#+\s*)?(?i:Human|User)\s*:.*[#\n][ \t]*(?i:Assistant|AI|Bot)\s*:",
            r"#+\s*Instruction\s*:.*#[ \t]*Response\s*:",
        )
    ),
    re.DOTALL,
)
_HH_RLHF = "Human:"


def note_of_transcripts(answers: Sequence[tuple[str, str]], source: Path | None) -> str | None:
    """Say in how many rows both answers are transcripts; None where they are in none.

    Args:
        answers: both answers of each row, without the prompt.
        source: of the rows.

    Raises:
        UserError: they are in most rows.
    """
    num_rows = sum(1 for both in answers if all(map(is_transcript, both)))
    if not num_rows:
        return None
    if num_rows > _MOST * len(answers):
        is_hh = all(side.lstrip().startswith(_HH_RLHF) for both in answers[:1] for side in both)
        raise UserError(
            f"both answers are transcripts of turns in {num_rows} of {len(answers)} rows",
            where=str(source),
            hint="format `hh-rlhf` reads them"
            if is_hh
            else "write each as a list of {role, content}, which format `messages` reads, "
            "or leave the question out of the answers",
        )
    return f"both answers are transcripts of turns in {num_rows} of {len(answers)} rows"


def is_transcript(text: str) -> bool:
    """Tell a text that begins with a turn of the user's or system's, before an answer's."""
    return _ASKS_AND_ANSWERS.match(text.lstrip()) is not None
