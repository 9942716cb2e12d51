"""`PredictionPlan`: what a `predictions` job reads of both models, decided before one is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.errors import UserError
from jobs.behaviour.prompted_model import load_toxic_words
from jobs.behaviour.toxic_tokens import ToxicTokens, find_toxic_tokens
from jobs.extraction.extraction_plan import choose_layers
from jobs.extraction.paired_inputs import build_shared_plan, require_common_model
from jobs.models.family import Missing, family_of_config
from jobs.models.folder import read_config
from jobs.models.loading import load_tokenizer
from jobs.models.model_facts import ModelFacts
from jobs.predicting.predictions_params import Params
from jobs.taps.taps import Place
from jobs.text.transform import load_transform
from jobs.tokens.plan import LeftOut, TokenPlan, longest_prompt
from jobs.tokens.positions import Position, find_positions
from jobs.worker.work import Work


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictionPlan:
    """What is read of both models."""

    params: Params
    """Params of the job."""
    model: ModelFacts
    """Facts of the base model."""
    tokens: TokenPlan
    """The tokens that both models see."""
    left_out: LeftOut
    """Ids of prompts left out for their length, and those that are refused."""
    positions: Sequence[Position]
    """Tokens that the lens reads at: the last one before the answer, and the last of each turn."""
    places: Sequence[Place]
    """Sites that exist, at every layer that is read."""
    missing: Mapping[Place, str]
    """Sites that the family lacks, at every layer that is read, and why."""
    toxic: ToxicTokens
    """Tokens of the toxic set; empty where no toxic words are known."""


def plan_predictions(work: Work[Params]) -> PredictionPlan:
    """Decide what a job reads; raise UserError for params and inputs that do not fit."""
    params = work.params
    base, aligned, prompts = (work.input(name) for name in ("base", "aligned", "prompts"))
    model = require_common_model(base, aligned)
    folder = base.directory("model")
    config = read_config(folder)
    family = family_of_config(config)
    longest = longest_prompt(
        family.shape(config).max_positions, params.max_length, params.num_positions, "num_positions"
    )
    tokens, left_out = build_shared_plan(
        base, aligned, prompts, longest, params.template, cut=params
    )
    positions = find_positions(tokens, ("last", "turn"), 0)
    if not any(position.label == "last" for position in positions):
        raise UserError(
            "every prompt begins with its answer: there is no token to predict it from",
            where=prompts.folder,
        )
    layers = choose_layers(params.layers, (), int(model["num_layers"]))
    taps = family.sites(config)
    places = {(site, layer): taps[site] for site in params.sites for layer in layers}
    return PredictionPlan(
        params=params,
        model=model,
        tokens=tokens,
        left_out=left_out,
        positions=positions,
        places=[place for place, tap in places.items() if not isinstance(tap, Missing)],
        missing={place: tap.reason for place, tap in places.items() if isinstance(tap, Missing)},
        toxic=_toxic_tokens(work, int(model["vocab_size"])),
    )


def _toxic_tokens(work: Work[Params], num_rows: int) -> ToxicTokens:
    """Find the tokens of the lens. Raises UserError for an id that the model has no row for."""
    chosen = work.params.token_ids
    if chosen is None:
        return find_toxic_tokens(
            load_toxic_words(work),
            load_tokenizer(work.input("base").directory("model")),
            load_transform(work.input("prompts").facts["transform"]),
        )
    beyond = [token for token in chosen if not 0 <= token < num_rows]
    if beyond:
        raise UserError(
            f"the model has {num_rows} tokens, none of them {beyond[0]}", where="token_ids"
        )
    token_ids = sorted(set(chosen))
    return ToxicTokens(token_ids=token_ids, num_words=len(token_ids), num_covered=len(token_ids))
