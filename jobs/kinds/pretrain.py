"""Kind `pretrain`: a small model and its tokenizer, trained from scratch on documents."""

from jobs.kind import Kind
from jobs.provenance import Model
from jobs.training.pretrain_params import Params as PretrainParams
from jobs.worker.work import Work


class Pretrain(Kind[PretrainParams]):
    """Trains a model from scratch."""

    VERSION = 1
    INPUTS = {}
    Params = PretrainParams
    LEAVES = Model.FROM_SCRATCH
    USES_TORCH = True

    def run(self, work: Work[PretrainParams]) -> dict[str, object]:
        """Train, write `model/` and `training_log.jsonl`."""
        from jobs.training.pretraining import pretrain

        return pretrain(work)
