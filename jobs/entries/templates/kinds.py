"""Kind `my-entry`: how many words the prompts have, as a measurement of the model that reads them.

The contract is jobs/kind.py. Heavy libraries are imported inside `run`, never at the top: planning
imports this file.
"""

import json

from pydantic import Field

from analysis.measurement import Measurement
from jobs.kind import Input, Kind, Params
from jobs.kinds._shared_inputs import WEIGHTS
from jobs.provenance import Results
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Work

DEFINITION = "v1: words between blanks over all prompts"


class MyEntryParams(Params):
    """What a study may set; all of it is in the key but what is declared with `execution`."""

    least: int = Field(1, ge=1, description="Letters of a word that counts.")


class MyEntry(Kind[MyEntryParams]):
    """Counts words."""

    VERSION = 1
    INPUTS = {
        "prompts": Input(kinds=frozenset({"prompts"})),
        "model": WEIGHTS,
    }
    Params = MyEntryParams
    LEAVES = Results.NUMBERS
    USES_TORCH = False
    MEASURES = ("my_entry_words",)
    HEADLINES = {"my_entry_words": 90}

    def run(self, work: Work[MyEntryParams]) -> dict[str, object]:
        """Write measurements.parquet, which a stage of kind `compare` can gather; return facts."""
        lines = work.input("prompts").read("prompts.jsonl").decode().splitlines()
        number = sum(number_of_words(line, work.params.least) for line in lines)
        measured = Measurement(
            metric="my_entry_words", definition=DEFINITION, value=float(number), num_rows=len(lines)
        )
        model = work.input("model").facts["model"]
        return {"rows": write_measurements(work.folder, [measured], model)}


def number_of_words(line: str, least: int) -> int:
    """Count the words of one line of prompts.jsonl."""
    words = (word for part in json.loads(line)["segments"] for word in part["text"].split())
    return sum(len(word) >= least for word in words)
