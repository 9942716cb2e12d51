"""Kind `ask`: what a model says whose weights nobody has, behind an OpenAI-compatible endpoint.

Behaviour only, measured as `behave` measures it. What needs weights is missing, `no_weights`.
"""

from collections.abc import Mapping, Sequence
from typing import get_args

from jobs.behaviour.ask_params import AskParams, Metric
from jobs.behaviour.scorer import chosen_scorer
from jobs.kind import Kind, Upstream
from jobs.kinds._shared_inputs import LEXICON, PROMPTS, know_toxic_words
from jobs.models.model_source import ModelSource
from jobs.provenance import Results
from jobs.worker.work import Work


class Ask(Kind[AskParams]):
    """Asks an endpoint the prompts and measures the answers."""

    VERSION = 2
    INPUTS = {"prompts": PROMPTS, "lexicon": LEXICON}
    Params = AskParams
    LEAVES = Results.NUMBERS
    USES_TORCH = False  # a scorer that does sets its own threads
    NOT_REHEARSED = "a model behind an endpoint is asked nothing"
    MEASURES = get_args(Metric)

    def uses(self, params: AskParams) -> frozenset[str]:
        """Return the prompts, and the lexicon only where its words matter."""
        return params.words_input | {"prompts"}

    def source(self, params: AskParams) -> ModelSource | None:
        """Return the model that the scorer reads, where it reads one."""
        return chosen_scorer(params.scorer).source

    def notes(self, params: AskParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which metrics have no list of toxic words."""
        from jobs.behaviour.given_words import notes_on_given_words

        return notes_on_given_words(params, inputs, know_toxic_words)

    def run(self, work: Work[AskParams]) -> dict[str, object]:
        """Write `measurements.parquet`; no text, of prompts or answers, is kept."""
        from jobs.behaviour.ask import ask

        return ask(work)
