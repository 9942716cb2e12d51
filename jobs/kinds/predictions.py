"""Kind `predictions`: what base and aligned predict next, by layer and by output.

The logit lens of toxic words and of the answer's first token at every layer; and how far apart the
two models' own predictions are at each output: is alignment only a few tokens deep?
"""

from jobs.kind import Input, Kind
from jobs.predicting.predictions_params import Params as PredictionsParams
from jobs.provenance import Results
from jobs.worker.work import Work


class Predictions(Kind[PredictionsParams]):
    """Reads both models' predictions of the next token."""

    VERSION = 1
    INPUTS = {
        "base": Input(kinds=frozenset({"pretrained", "pretrain"})),
        "aligned": Input(kinds=frozenset({"align", "adapter", "export", "pretrained", "pretrain"})),
        "prompts": Input(kinds=frozenset({"prompts"})),
        "lexicon": Input(kinds=frozenset({"pairs", "generated-pairs"}), dispensable=True),
    }
    Params = PredictionsParams
    LEAVES = Results.NUMBERS
    USES_TORCH = True
    MEASURES = (
        *("logit_lens_base", "logit_lens_aligned", "logit_lens_drop"),
        *("logit_lens_answer_base", "logit_lens_answer_aligned", "logit_lens_answer_drop"),
        *("token_kl", "token_kl_mean"),
    )
    HEADLINES = {"logit_lens_drop": 230, "token_kl_mean": 240}

    def uses(self, params: PredictionsParams) -> frozenset[str]:
        """Return all inputs, the lexicon only where its words matter."""
        return params.words_input | {"base", "aligned", "prompts"}

    def run(self, work: Work[PredictionsParams]) -> dict[str, object]:
        """Write `measurements.parquet`; the facts count rows by status, prompts and toxic words."""
        from jobs.predicting.predictions import predict

        return predict(work)
