"""Plain text, one paragraph per line, in a file or in every .txt of a folder (WikiText's layout).

Of files of rows (jsonl, parquet, ...) the column `text` is read.

A hash holds out some paragraphs, so that prompts are never text that was pretrained on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from analysis.long_table.circumstances import Origin
from jobs.text.data_set import SourceRows, read_text_rows
from jobs.text.example_texts import NUM_ROWS, phrases
from jobs.text.format import Format
from jobs.text.held_out import is_held_out
from jobs.text.messages_as_text import plain_text_if_any
from jobs.text.reading import Dropped, Prompt, Reading, Segment
from jobs.text.row_options import RowOptions


class TextOptions(RowOptions):
    """Which paragraphs are used, and how prompts are cut from them."""

    min_words: int = Field(8, ge=1, description="shorter paragraphs are left out")
    prompt_words: int = Field(32, ge=1, description="words of a prompt")
    response_words: int = Field(32, ge=1, description="most words of the response after it")
    held_out: float = Field(
        0.25, ge=0, lt=1, description="share of paragraphs that texts leave to prompts; 0: none"
    )


class Text(Format[TextOptions]):
    """Paragraphs of texts outside."""

    ORIGIN = Origin.COLLECTED
    Options = TextOptions

    def example_rows(self, options: TextOptions) -> Sequence[Mapping[str, object]]:
        """Return paragraphs that are long enough."""
        num_words = max(options.min_words, options.prompt_words + options.response_words)
        paragraphs = phrases(num_words)
        return [{"text": next(paragraphs)} for _ in range(NUM_ROWS)]

    def read_texts(self, source: Path | None, options: TextOptions) -> Reading[str]:
        """Read paragraphs that are long enough and not held out."""
        texts, dropped = [], []
        rows, paragraphs, broken = _paragraphs(source, options)
        for row, text in paragraphs:
            if len(text.split()) < options.min_words:
                dropped.append(_too_short(row, options.min_words))
            elif is_held_out(text, options.held_out):
                dropped.append(Dropped(row=row, reason="held out for measurement"))
            else:
                texts.append(text)
        return rows.reading(Reading(items=texts, dropped=dropped), broken)

    def read_prompts(self, source: Path | None, options: TextOptions) -> Reading[Prompt]:
        """Cut held-out paragraphs (all, where none is) into a prompt and the words after it."""
        prompts, dropped = [], []
        least = options.prompt_words + 1
        rows, paragraphs, broken = _paragraphs(source, options)
        for row, text in paragraphs:
            words = text.split()
            if options.held_out and not is_held_out(text, options.held_out):
                continue
            if len(words) < least:
                dropped.append(_too_short(row, least))
                continue
            prompt = " ".join(words[: options.prompt_words])
            rest = words[options.prompt_words :][: options.response_words]
            segments = (
                Segment(role="prompt", text=prompt),
                Segment(role="response", text=" " + " ".join(rest)),
            )
            prompts.append(Prompt(row=row, source=prompt, segments=segments))
        return rows.reading(Reading(items=prompts, dropped=dropped), broken)


def _paragraphs(
    source: Path | None, options: TextOptions
) -> tuple[SourceRows, list[tuple[int, str]], list[Dropped]]:
    """Read (row, text) of every line or row, whitespace made single."""
    rows = read_text_rows("text", source, options, "text")
    paragraphs, broken = rows.make(
        lambda row: (row.number, " ".join(plain_text_if_any(row, "text").split()))
    )
    return rows, paragraphs, broken


def _too_short(row: int, least: int) -> Dropped:
    return Dropped(row=row, reason=f"fewer than {least} words")
