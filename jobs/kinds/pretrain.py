"""Kind `pretrain`: a small model and its tokenizer, trained from scratch on documents."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.kind import Forecast, Kind, Situation, Upstream
from jobs.provenance import Model
from jobs.rehearsal import StandIns, lowered, with_data
from jobs.text.format import FORMATS, version_pins
from jobs.text.source_check import check_source
from jobs.training.pretrain_params import Params as PretrainParams
from jobs.worker.work import Work


class Pretrain(Kind[PretrainParams]):
    """Trains a model from scratch."""

    VERSION = 1
    INPUTS = {}
    Params = PretrainParams
    LEAVES = Model.FROM_SCRATCH
    USES_TORCH = True

    def pins(self, params: PretrainParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Read the documents once, to report early what is wrong; their path is digested.

        A byte-level tokenizer makes texts in several segments as wholes since this pin was added;
        a format's own tokenizer of whole words gives the ids that it always gave.
        """
        self.notes(params, {})
        has_own = FORMATS.find(params.format).has_own_tokenizer
        tokens = {} if has_own else {"tokens": "of whole texts"}
        return {**version_pins(params.format), **tokens}

    def notes(self, params: PretrainParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which rows of the source cannot be used."""
        if params.source is None:
            return ()
        return check_source(
            "texts", params.format, params.source, params.options, params.max_dropped
        )

    def forecast(self, params: PretrainParams, at: Situation) -> Forecast | None:
        """Count all steps at full length."""
        from jobs.training.planning.pretrain_forecast import forecast_pretraining

        return forecast_pretraining(params, at)

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Train a small model for a few steps."""
        small = lowered(
            self.Params,
            written,
            steps=20,
            warmup_steps=4,
            global_batch=8,
            sequence_length=64,
            vocab_size=512,
        )
        if isinstance(written.get("config"), Mapping):
            small["config"] = stand_ins.fields(written["config"])
        whole = {**super().in_small(written, stand_ins), **with_data(written, stand_ins)}
        return {**whole, **small, "micro_batch": None, "checkpoint_every": None}

    def run(self, work: Work[PretrainParams]) -> dict[str, object]:
        """Train, write `model/` and `training_log.jsonl`."""
        from jobs.training.pretraining import pretrain

        return pretrain(work)
