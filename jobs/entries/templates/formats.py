"""Format `my-entry`: a prompt per line of a text file.

The contract is jobs/text/format.py; docs/howto/adding-a-format.md says more.
"""

from pathlib import Path

from pydantic import Field

from analysis.long_table.circumstances import Origin
from cluster.errors import UserError
from jobs.text.format import Format, Options
from jobs.text.reading import Dropped, Prompt, Reading, Segment


class MyEntryOptions(Options):
    """What a study may set under `options`."""

    min_words: int = Field(1, ge=1, description="Shorter lines are left out.")


class MyEntry(Format[MyEntryOptions]):
    """Lines of a text file that somebody collected."""

    ORIGIN = Origin.COLLECTED
    Options = MyEntryOptions

    def read_prompts(self, source: Path | None, options: MyEntryOptions) -> Reading[Prompt]:
        """Read every line that is long enough. Raises UserError where there is no file."""
        if source is None or not source.is_file():
            raise UserError("the format my-entry reads a text file", where="source")
        prompts, dropped = [], []
        for row, line in enumerate(source.read_text(encoding="utf-8").splitlines(), start=1):
            if len(line.split()) < options.min_words:
                dropped.append(Dropped(row=row, reason=f"fewer than {options.min_words} words"))
            else:
                segments = (Segment(role="prompt", text=line),)
                prompts.append(Prompt(row=row, source=line, segments=segments))
        return Reading(items=prompts, dropped=dropped)
