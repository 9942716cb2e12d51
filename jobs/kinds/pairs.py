"""Kind `pairs`: preference pairs out of a source, split, with a report and the toxic words."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from cluster.errors import UserError
from jobs.kind import Kind, Names, Upstream, data_path
from jobs.provenance import Data
from jobs.rehearsal import FEW, StandIns, enough_validation, sampled, with_data
from jobs.text.format import FORMATS, version_pins
from jobs.text.lexicon import learn_toxic_words
from jobs.text.pair_artifact import at_most, without_duplicates, write_pairs
from jobs.text.planned import Planned, planned
from jobs.text.reading import Pair, Reading
from jobs.text.reading_report import about_source, write_toxic_words
from jobs.text.source_check import check_source, max_dropped, read_source
from jobs.text.split import Split, SplitParams
from jobs.worker.work import Work


class PairsParams(SplitParams):
    """Where pairs come from and which are taken."""

    source: str | None = data_path(None, "File or folder, where the format reads one.")
    format: Annotated[str, Names(FORMATS)] = Field(
        ..., description="Format of the source: a file of `jobs/text/formats/`."
    )
    options: dict[str, Any] = Field({}, description="Options of the format.")
    max_pairs: int | None = Field(None, ge=1, description="Most pairs; a seeded sample of all.")
    max_toxic_words: int = Field(
        200, ge=0, description="Most toxic words learned where the source knows none."
    )
    seed: int = Field(0, description="Decides the sample.")
    max_dropped: float = max_dropped()


class Pairs(Kind[PairsParams]):
    """Reads preference pairs, samples and splits them."""

    VERSION = 2
    INPUTS = {}
    Params = PairsParams
    LEAVES = Data(origin=None)
    USES_TORCH = False

    def pins(self, params: PairsParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Read the source once, to report early what is wrong with it; its path is digested."""
        self.notes(params, {})
        return version_pins(params.format)

    def notes(self, params: PairsParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which rows of the source cannot be used."""
        return check_source(
            "pairs", params.format, params.source, params.options, params.max_dropped
        )

    def planned(self, params: PairsParams) -> Planned[Pair]:
        """Describe what a job will leave."""
        return planned(params, [params.source], lambda: self._read_ahead(params))

    def _read_ahead(self, params: PairsParams) -> Sequence[Pair]:
        """Read what a job will leave, as it will; nothing where its source cannot be read."""
        try:
            reading = self._read(params)
        except UserError:
            return []  # planning the stage itself says what is wrong
        return at_most(without_duplicates(reading.items)[0], params.max_pairs, params.seed)

    @staticmethod
    def _read(params: PairsParams) -> Reading[Pair]:
        return read_source(
            "pairs", params.format, params.source, params.options, params.max_dropped
        )

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Take a few pairs, and of these enough for a validation."""
        few = {**sampled(written, max_pairs=FEW), **with_data(written, stand_ins)}
        return {**super().in_small(written, stand_ins), **few, **enough_validation(written)}

    def run(self, work: Work[PairsParams]) -> dict[str, object]:
        """Write `pairs.parquet`, `report.json` and `toxic.json`."""
        params = work.params
        reading = self._read(params)
        usable, useless = without_duplicates(reading.items)
        pairs = at_most(usable, params.max_pairs, params.seed)
        if not pairs:
            raise UserError("no usable pair in it", where=params.source or params.format)
        splits = [params.split_of(pair.prompt) for pair in pairs]
        dropped = [*reading.dropped, *useless]
        more = {"num_not_sampled": len(usable) - len(pairs), **about_source(reading)}
        facts = write_pairs(work.folder, pairs, splits, dropped, more)
        if reading.toxic_words is not None:
            write_toxic_words(work.folder, reading.toxic_words, "known")
        else:
            trained_on = [
                pair for pair, split in zip(pairs, splits, strict=True) if split is Split.TRAIN
            ]
            words = learn_toxic_words(
                [pair.rejected for pair in trained_on],
                [pair.chosen for pair in trained_on],
                params.max_toxic_words,
            )
            write_toxic_words(work.folder, words, "log-odds")
        return facts
