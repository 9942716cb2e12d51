"""`Question`: what one `predictions` job asks of both models, settled before either is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.behaviour.prompted_model import load_toxic_words
from jobs.behaviour.toxic_tokens import ToxicTokens, find_toxic_tokens
from jobs.extraction.extraction_plan import choose_layers
from jobs.extraction.paired_inputs import build_shared_plan, require_common_model
from jobs.models.family import Missing, family_of_config
from jobs.models.folder import read_config
from jobs.models.loading import load_tokenizer
from jobs.models.model_facts import Dtype, compute_dtype
from jobs.models.shape import read_shape
from jobs.text.transform import load_transform
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position, find_positions
from jobs.tokens.room import longest_prompt
from jobs.worker.work import Work

if TYPE_CHECKING:
    from jobs.predicting.predictions_params import Params
    from jobs.taps.taps import Place


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictionPlan:
    """What is to be read of both models."""

    params: Params
    """As the study says."""
    model: Mapping[str, Any]
    """Facts of the base model."""
    plan: TokenPlan
    """The tokens that both see."""
    too_long: Sequence[int]
    """Ids of prompts left out for their length."""
    asked: Sequence[Position]
    """Where the lens reads: the last token before the answer, and of each turn."""
    places: Sequence[Place]
    """Sites that exist, at every layer that is read."""
    missing: Mapping[Place, str]
    """Sites that do not, at every layer, and why."""
    toxic: ToxicTokens
    """Tokens of the toxic set; none where nobody knows any."""

    @property
    def dtype(self) -> Dtype:
        """Compute dtype of both models."""
        return compute_dtype(self.params.dtype, self.model["num_parameters"])


def plan_predictions(work: Work) -> PredictionPlan:
    """What the job asks. Raises UserError for what cannot be done."""
    params: Params = work.params
    base, aligned, prompts = (work.input(name) for name in ("base", "aligned", "prompts"))
    model = require_common_model(base, aligned)
    folder = base.directory("model")
    config = read_config(folder)
    family = family_of_config(config)
    longest = longest_prompt(
        read_shape(family.FIELDS, config).max_positions, params, "num_positions"
    )
    plan, too_long = build_shared_plan(base, aligned, prompts, longest, params.template)
    asked = find_positions(plan, ("last", "turn"), 0)
    if not any(position.label == "last" for position in asked):
        raise UserError(
            "every prompt starts with its answer: nothing is asked", where=prompts.folder
        )
    layers = choose_layers(params.layers, (), int(model["num_layers"]))
    sites = {site: family.sites(config)[site] for site in params.sites}
    return PredictionPlan(
        params=params,
        model=model,
        plan=plan,
        too_long=too_long,
        asked=asked,
        places=[(s, n) for s, tap in sites.items() for n in layers if not isinstance(tap, Missing)],
        missing={
            (s, n): tap.reason
            for s, tap in sites.items()
            for n in layers
            if isinstance(tap, Missing)
        },
        toxic=find_toxic_tokens(
            load_toxic_words(work),
            load_tokenizer(folder),
            load_transform(prompts.facts["transform"]),
        ),
    )
