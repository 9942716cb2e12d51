"""Folders of entries, written for a test."""

from pathlib import Path

METRIC = '''"""Metric `spread`."""

from analysis.estimates.evaluation import Measured
from analysis.estimates.intervals import Estimate
from analysis.metric import Metric


class Spread(Metric):
    DEFINITION = "v1: number of rows"
    REPORTS = ("spread",)
    AXIS_LABEL = "rows"
    HEADLINES = {"spread": 5}

    def prepare(self, sample, against, centred):
        number = sum(group.num_rows for group in sample.groups.values())
        estimate = Estimate(value=float(number))
        return [lambda: Measured(estimate=estimate, num_rows=number, groups=None)]
'''
"""Source of `metrics/spread.py`."""

KIND = '''"""Kind `note`: one number, from no input."""

from analysis.measurement import Measurement
from jobs.kind import Input, Kind, Params
from jobs.provenance import Results
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Work

from .._numbers import FACTOR


class NoteParams(Params):
    index: int = 1


class Note(Kind[NoteParams]):
    VERSION = 1
    INPUTS = {"after": Input(kinds=frozenset({"probe"}))}
    Params = NoteParams
    LEAVES = Results.NUMBERS
    USES_TORCH = False
    MEASURES = ("noted",)
    HEADLINES = {"noted": 5}

    def run(self, work: Work[NoteParams]):
        value = float(FACTOR * work.params.index)
        row = Measurement(metric="noted", definition="v1: twice the index", value=value)
        model = {"family": "none", "num_parameters": 1, "d_model": 1, "num_layers": 1}
        return {"rows": write_measurements(work.folder, [row], model), "value": value}
'''
"""Source of `kinds/note.py`, which imports `_numbers.py`."""

NUMBERS = "FACTOR = 2\n"


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files below a folder, and return it."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    folder.mkdir(exist_ok=True)
    return folder
