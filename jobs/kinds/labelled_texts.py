"""Kind `labelled-texts`: texts that people labelled toxic or not, out of a source."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from jobs.kind import Kind, Names, Params, Upstream, data_path
from jobs.provenance import Data
from jobs.rehearsal import FEW, StandIns, sampled, with_data
from jobs.text.format import FORMATS, version_pins
from jobs.text.labelled_artifact import usable_texts, write_labelled
from jobs.text.lexicon import learn_toxic_words
from jobs.text.reading_report import about_source, write_report, write_toxic_words
from jobs.text.source_check import check_source, max_dropped, read_source
from jobs.worker.work import Work


class LabelledTextsParams(Params):
    """Where labelled texts come from and which are taken."""

    source: str | None = data_path(None, "File or folder, where the format reads one.")
    format: Annotated[str, Names(FORMATS)] = Field(
        ..., description="Format of the source: a file of `jobs/text/formats/`."
    )
    options: dict[str, Any] = Field({}, description="Options of the format.")
    max_texts: int | None = Field(
        None, ge=4, description="Most texts: those of the smallest seeded hashes."
    )
    max_toxic_words: int = Field(
        200, ge=0, description="Most toxic words learned from the labels, by log-odds."
    )
    seed: int = Field(0, description="Decides the sample.")
    max_dropped: float = max_dropped()


class LabelledTexts(Kind[LabelledTextsParams]):
    """Reads texts with labels and samples them."""

    VERSION = 1
    INPUTS = {}
    Params = LabelledTextsParams
    LEAVES = Data(origin=None)
    USES_TORCH = False

    def pins(self, params: LabelledTextsParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Read the source once, to report early what is wrong with it; its path is digested."""
        self.notes(params, {})
        return version_pins(params.format)

    def notes(self, params: LabelledTextsParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which rows of the source cannot be used."""
        return check_source(
            "labelled", params.format, params.source, params.options, params.max_dropped
        )

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Take a few texts."""
        few = {**sampled(written, max_texts=2 * FEW), **with_data(written, stand_ins)}
        return {**super().in_small(written, stand_ins), **few}

    def run(self, work: Work[LabelledTextsParams]) -> dict[str, object]:
        """Write `labelled_texts.parquet`, `report.json` and `toxic.json`."""
        params = work.params
        reading = read_source(
            "labelled", params.format, params.source, params.options, params.max_dropped
        )
        texts, dropped = usable_texts(reading.items, params.max_texts, params.seed)
        counts: dict[str, object] = {
            "num_texts": len(texts),
            "num_toxic": sum(text.toxic for text in texts),
            "num_dropped": len(reading.dropped) + len(dropped),
        }
        write_labelled(work.folder, texts)
        write_report(work.folder, [*reading.dropped, *dropped], {**counts, **about_source(reading)})
        words = learn_toxic_words(
            [text.text for text in texts if text.toxic],
            [text.text for text in texts if not text.toxic],
            params.max_toxic_words,
        )
        write_toxic_words(work.folder, words, "log-odds")
        return counts
