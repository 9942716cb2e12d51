"""One alignment run: inputs to lesson, lesson to trainer, trainer to checkpoint."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cluster.errors import UserError
from jobs import lookup
from jobs.models.loading import (
    describe_model,
    load_model,
    load_tokenizer,
    pick_device,
    save_checkpoint,
)
from jobs.objective import Lesson, ScoredPairs
from jobs.training.completion_log_probabilities import score_pairs
from jobs.training.log_ratios import margins
from jobs.training.model_card import base_on_hub, write_model_card
from jobs.training.recipe import data_order
from jobs.training.reference_scores import require_fitting
from jobs.training.supervision import train
from jobs.training.tokenized_pairs import TokenizedPair, read_tokenized_pairs, tokens_digest
from jobs.work import Work


def align(work: Work) -> dict[str, Any]:
    """Train the model under `model` towards the objective; returns the record's facts."""
    params = work.params
    work.progress(None, "loading")
    folder = work.input("model").directory("model")
    device = pick_device(params.layout().num_gpus)
    model = load_model(folder, dtype="float32", device=device, attention=params.attention)
    tokenizer = load_tokenizer(folder)
    path = work.input("pairs").path("pairs.parquet")
    pairs = read_tokenized_pairs(path, tokenizer, length_limit(model.config, params.max_length))
    objective = lookup.find("objectives", params.objective)
    # Trainers write special tokens into both configs; the aligned model differs in weights alone.
    untouched = copy.deepcopy((model.config, model.generation_config))
    scored = _scored(work, pairs, needed=objective.USES_REFERENCE)
    training, validation = _split(scored, "train"), _split(scored, "validation")
    recipe = params.recipe(_num_steps(params, len(training.pairs)))
    trainer = objective.make_trainer(
        Lesson(
            model=model,
            tokenizer=tokenizer,
            scored=training,
            order=data_order(len(training.pairs), recipe.steps * recipe.global_batch, params.seed),
            arguments=recipe.trainer_arguments(work.folder / "checkpoints", device),
            settings=params.settings(),
            seed=params.seed,
        )
    )
    validate = _validator(params, objective, validation) if validation.pairs else None
    trainer.supervise(
        params.supervision(work, recipe, validate=validate, validate_every=params.validate_every)
    )
    outcome = train(trainer)
    model.config, model.generation_config = untouched
    save_checkpoint(model, tokenizer, work.folder / "model")
    facts = {
        "model": describe_model(model.config),
        "base_model": base_on_hub(work),
        "training": {
            "objective": params.objective,
            "num_pairs": len(training.pairs),
            "num_validation": len(validation.pairs),
            "num_truncated": sum(pair.truncated for pair in pairs),
            "tokens_digest": tokens_digest(pairs),
            **outcome,
        },
    }
    write_model_card(work, "align", facts)
    return facts


def length_limit(config: Any, max_length: int | None) -> int:
    """The most tokens of a sequence: as asked for, or all positions of the model.

    Raises UserError when the model has fewer positions than asked for.
    """
    limit: int = config.max_position_embeddings
    if max_length is None:
        return limit
    if max_length > limit:
        raise UserError(
            f"max_length {max_length} is more than the {limit} positions of the model",
            where="max_length",
        )
    return max_length


def _num_steps(params: Any, num_pairs: int) -> int:
    if not num_pairs:
        raise UserError("there are no training pairs", where="pairs.parquet")
    if params.steps is not None:
        return int(params.steps)
    return max(1, round(float(params.epochs or 1.0) * num_pairs / int(params.global_batch)))


def _scored(work: Work, pairs: Sequence[TokenizedPair], *, needed: bool) -> ScoredPairs:
    """The pairs with what the reference gave them."""
    if not needed:
        return ScoredPairs(pairs=pairs, chosen=None, rejected=None)
    if not work.has("reference"):
        raise UserError(
            f"objective {work.params.objective!r} needs the input `reference`",
            hint="give the stage a stage of kind reference over the same model and pairs",
        )
    import pyarrow.parquet as parquet

    reference = work.input("reference")
    require_fitting(reference.facts, work.params, tokens_digest(pairs))
    columns = parquet.read_table(reference.path("reference.parquet")).to_pydict()
    assert columns["pair"] == [pair.pair for pair in pairs], "reference rows in another order"
    return ScoredPairs(
        pairs=pairs,
        chosen=np.array(columns["ref_chosen_logps"]),
        rejected=np.array(columns["ref_rejected_logps"]),
    )


def _split(scored: ScoredPairs, name: str) -> ScoredPairs:
    rows = [row for row, pair in enumerate(scored.pairs) if pair.split == name]
    return ScoredPairs(
        pairs=[scored.pairs[row] for row in rows],
        chosen=None if scored.chosen is None else scored.chosen[rows],
        rejected=None if scored.rejected is None else scored.rejected[rows],
    )


def _validator(
    params: Any, objective: Any, reference: ScoredPairs
) -> Callable[[Any], Mapping[str, float]]:
    """Model -> loss on the validation pairs, share preferred, and margin where there is one."""
    batch_size = 2 * (params.micro_batch or params.global_batch)
    settings = params.settings()

    def validate(model: Any) -> Mapping[str, float]:
        policy = score_pairs(model, reference.pairs, batch_size=batch_size, dtype=params.dtype)
        assert policy.chosen is not None and policy.rejected is not None
        found = {
            "loss": objective.validation_loss(policy, reference, settings),
            "chosen_preferred": float((policy.chosen > policy.rejected).mean()),
        }
        if reference.chosen is not None:
            gains = margins(policy, reference)
            found["margin"] = settings["beta"] * float(gains.mean())
            found["accuracy"] = float((gains > 0).mean())
        return found

    return validate
