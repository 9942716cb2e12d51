"""RealToxicityPrompts as text: one prompt per line, in a file or in every .txt of a folder."""

from pathlib import Path

from analysis.long_table.circumstances import Origin
from jobs.text.data_set import numbered_lines
from jobs.text.format import Dropped, Format, NoOptions, Prompt, Reading, Segment


class Realtoxicityprompts(Format[NoOptions]):
    """Openings of sentences from the web."""

    ORIGIN = Origin.COLLECTED
    Options = NoOptions

    def read_prompts(self, source: Path | None, options: NoOptions) -> Reading[Prompt]:
        """Read every line that is not blank as a prompt that nothing answers."""
        prompts, dropped = [], []
        for row, line in numbered_lines("realtoxicityprompts", source):
            text = line.strip()
            if text:
                segments = (Segment(role="prompt", text=text),)
                prompts.append(Prompt(row=row, source=text, segments=segments))
            else:
                dropped.append(Dropped(row=row, reason="blank line"))
        return Reading(items=prompts, dropped=dropped)
