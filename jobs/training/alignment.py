"""One alignment run: inputs to lesson, lesson to trainer, trainer to checkpoint."""

from __future__ import annotations

import copy
import gc
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from cluster.errors import UserError
from jobs.models.device import DeviceMap, pick_device
from jobs.models.family import family_of_config
from jobs.models.folder import read_config
from jobs.models.loading import describe_model, load_model, load_tokenizer, save_checkpoint
from jobs.models.opened_model import model_folder
from jobs.training.adapters.lora import (
    adapter_off,
    add_adapter,
    in_single_precision,
    merge_into_base,
    quantisation,
    save_adapter,
)
from jobs.training.align_params import Params
from jobs.training.chat_pairs import template_digest, template_for
from jobs.training.completion_log_probabilities import score_pairs
from jobs.training.determinism import repeating_kernels
from jobs.training.dropout import turn_off_dropout
from jobs.training.engine import ENGINES, Engine, Held
from jobs.training.folder_of_ranks import folder_of_ranks
from jobs.training.kernel_compiler import require_compiler
from jobs.training.layout import Layout
from jobs.training.layout_check import check_before_training
from jobs.training.memory_watch import MemoryWatch
from jobs.training.model_card import base_on_hub, write_model_card
from jobs.training.objective import OBJECTIVES, Lesson, Objective, ScoredPairs
from jobs.training.preference import margins
from jobs.training.recipe import Recipe, data_order
from jobs.training.reference_scores import read_reference
from jobs.training.snapshots.of_alignment import keep_untrained, measure_start, snapshot_taker
from jobs.training.supervision import Supervised, Supervision, Validate, train
from jobs.training.tokenized_pairs import (
    TokenizedPair,
    dropped_facts,
    length_limit,
    read_pair_tokens,
    tokens_digest,
)
from jobs.training.training_log import LOG
from jobs.worker import ranks
from jobs.worker.work import Stopped, Work


def align(work: Work[Params]) -> dict[str, object]:
    """Train the model under `model` towards the objective; return the record's facts."""
    params = work.params
    layout = params.layout()
    engine = _engine_for(layout)
    if layout.num_gpus:
        require_compiler()
    work.progress(None, "loading")
    folder = folder_of_ranks(work)
    tokenizer = load_tokenizer(folder)
    config = read_config(folder)
    shape = family_of_config(config).shape(config)
    limit = length_limit(shape.max_positions, params.max_length)
    template = template_for(params.template, tokenizer, work.input("model"))
    path = work.input("pairs").path("pairs.parquet")
    tokens = read_pair_tokens(
        path,
        tokenizer,
        limit,
        template,
        max_dropped=params.max_dropped,
        end_of_text=params.end_of_text,
        num_rows=shape.vocab_size,
    )
    pairs, digest = tokens.different, tokens_digest(tokens.pairs)
    counted = Counter(pair.split for pair in pairs)
    recipe = params.recipe(_num_steps(params, counted["train"]))
    with engine.session(layout, recipe), repeating_kernels(params.deterministic):
        facts, training = _train(work, engine, recipe, pairs, digest, tokenizer)
    # Trainer and callbacks hold each other, and with them a model and its moments that nothing
    # needs any more; this process loads others.
    gc.collect()
    if params.snapshots is not None:
        facts["snapshots"] = training.pop("snapshots")
    facts["training"] = training | {
        "objective": params.objective,
        "num_pairs": counted["train"],
        "num_validation": counted["validation"],
        "num_truncated": sum(pair.truncated for pair in pairs),
        "tokens_digest": digest,
        "template": template_digest(template),
        "layout": layout.execution,
        **dropped_facts(tokens),
    }
    if params.lora is not None:
        facts["adapter"] = merge_into_base(work, params.lora)
    if ranks.is_first():
        write_model_card(work, "align", facts)
    return facts


def leave_as_is(work: Work[Params]) -> dict[str, object]:
    """Save the model under `model` once more, as an objective that trains nothing leaves it.

    Writes `model/` as an aligned one is written, and an empty log; returns the record's facts.
    """
    work.progress(None, "loading")
    folder = folder_of_ranks(work)
    model = load_model(folder)
    facts: dict[str, object] = {
        "model": describe_model(model.config),
        "base_model": base_on_hub(work),
        "training": {"objective": work.params.objective, "steps": 0},
    }
    if work.params.snapshots is not None:
        facts["snapshots"] = keep_untrained(work, work.params.snapshots)
    if ranks.is_first():
        save_checkpoint(model, load_tokenizer(folder), work.folder / "model")
        (work.folder / LOG).touch()
        write_model_card(work, "align", facts)
    ranks.barrier()
    return facts


def _engine_for(layout: Layout) -> Engine:
    """Return the engine of a run, which must stand on as many ranks as were planned."""
    engine = ENGINES.find(layout.engine, where="engine")
    if engine.NEEDS_GPU and not layout.num_gpus:
        raise UserError(
            f"engine {layout.engine!r} needs GPUs, and this job has none",
            where="engine",
            allowed=[name for name in ENGINES.names() if not ENGINES.find(name).NEEDS_GPU],
        )
    assert ranks.num_ranks() == layout.num_ranks, f"{ranks.num_ranks()} ranks, planned {layout}"
    return engine


def _train(
    work: Work[Params],
    engine: Engine,
    recipe: Recipe,
    pairs: Sequence[TokenizedPair],
    digest: str,
    tokenizer: PreTrainedTokenizerBase,
) -> tuple[dict[str, object], dict[str, object]]:
    """Load, train and write the model; return the record's facts, those of training apart."""
    params = work.params
    layout = params.layout()
    objective = OBJECTIVES.find(params.objective)
    device = _device(layout)
    model = _load(params, model_folder(work.input("model")), device)
    ranks.barrier()  # what follows has the short patience of a step
    # Trainers write special tokens into both configs; the aligned model differs in weights alone.
    untouched = copy.deepcopy((model.config, model.generation_config))
    scored = _score(work, model, pairs, digest, needed=objective.USES_REFERENCE)
    training, validation = _split(scored, "train"), _split(scored, "validation")
    start = measure_start(model, params.snapshots, validation.pairs, params)
    arguments = recipe.trainer_arguments(work.folder / "checkpoints", device)
    order = data_order(len(training.pairs), recipe.steps * params.global_batch, params.seed)
    trainer = objective.make_trainer(
        Lesson(
            model=model,
            tokenizer=tokenizer,
            scored=training,
            order=order,
            arguments={**arguments, **engine.arguments(layout, recipe)},
            settings=params.settings(),
            seed=params.seed,
        )
    )
    if params.lora is not None:
        in_single_precision(model)
    validate = None
    if validation.pairs:
        validate = validator(trainer, params, engine, objective, validation)
    taker = None
    if params.snapshots is not None:
        taker = snapshot_taker(
            work,
            params.snapshots,
            engine,
            recipe.steps,
            trains_adapter=params.lora is not None,
            start=start,
        )
    trainer.supervise(
        Supervision(
            work=work,
            recipe=recipe,
            beta=params.settings().get("beta"),
            validate=validate,
            validate_every=params.validate_every,
            early_stopping=params.early_stopping,
            snapshots=taker,
        )
    )
    engine.prepare(trainer, layout)
    in_force = check_before_training(trainer, engine, layout)
    memory = MemoryWatch(trainer, params, training.pairs, order)
    outcome = train(trainer)
    model.config, model.generation_config = untouched
    if params.lora is None:
        _save(engine, trainer, tokenizer, work.folder / "model")
    else:
        save_adapter(model, work.folder / "adapter")
    facts: dict[str, object] = {
        "model": describe_model(model.config),
        "base_model": base_on_hub(work),
        "memory": memory.facts(),
    }
    if taker is not None:
        outcome["snapshots"] = taker.facts()
    return facts, {**outcome, "engine_in_force": in_force}


def _device(layout: Layout) -> str:
    """Return where this rank computes; of several GPUs on its node, the one with its number."""
    device = pick_device(layout.num_gpus)
    if device == "cuda" and layout.num_ranks > 1:
        torch.cuda.set_device(ranks.local_rank())
    return device


def _load(params: Params, folder: Path, device: str) -> PreTrainedModel:
    """Load the model to train, or freeze it and put an adapter to train beside it; none drops."""
    quantised = quantisation(params.lora, params.dtype, device)
    model = load_model(
        folder,
        dtype="float32",
        device=_place(params, device),
        attention=params.attention,
        quantisation=quantised,
    )
    turn_off_dropout(model)
    if params.lora is not None:
        add_adapter(model, params.lora, params.seed)
    return model


def _place(params: Params, device: str) -> str | DeviceMap:
    """Return the place to load the model to: this rank's own GPU, by its number.

    A map has the weights read straight to it, and no whole model in the host memory of every rank.
    A name without a number would be no rank's device to accelerate and the Trainer. Under zero3
    DeepSpeed places them.
    """
    cut_at_loading = params.layout().engine == "zero3"
    return device if device == "cpu" or cut_at_loading else {"": ranks.local_rank()}


def _num_steps(params: Params, num_pairs: int) -> int:
    if not num_pairs:
        raise UserError("there are no training pairs", where="pairs.parquet")
    if params.steps is not None:
        return params.steps
    return max(1, round(float(params.epochs or 1.0) * num_pairs / params.global_batch))


def _score(
    work: Work[Params],
    model: PreTrainedModel,
    pairs: Sequence[TokenizedPair],
    digest: str,
    *,
    needed: bool,
) -> ScoredPairs:
    """Return the pairs with the reference's sums, where the objective needs them."""
    if not needed:
        return ScoredPairs(pairs=pairs, chosen=None, rejected=None)
    if work.has("reference"):
        return read_reference(work.input("reference"), work.params, pairs, digest)
    if work.params.lora is not None:
        return _score_by_base(work, model, pairs)
    raise UserError(
        f"objective {work.params.objective!r} needs the input `reference`",
        hint="give the stage a stage of kind reference over the same model and pairs",
    )


def _score_by_base(
    work: Work[Params], model: PreTrainedModel, pairs: Sequence[TokenizedPair]
) -> ScoredPairs:
    """Score the pairs by the model with its adapter off; all ranks call it, and get all scores.

    This comes before the first step, in the same process: no second model, no job of its own.

    Raises:
        Stopped: asked to stop.
    """
    share = -(-len(pairs) // ranks.num_ranks())

    def after_batch(done: int) -> None:
        if ranks.any_of(work.stop_requested):
            raise Stopped
        work.progress(None, f"reference: {done // 2} of {share} pairs")

    with adapter_off(model):
        return score_pairs(
            model,
            pairs,
            batch_size=2 * work.params.layout().micro_batch,
            dtype=work.params.dtype,
            after_batch=after_batch,
        )


def _split(scored: ScoredPairs, name: str) -> ScoredPairs:
    rows = [row for row, pair in enumerate(scored.pairs) if pair.split == name]
    return ScoredPairs(
        pairs=[scored.pairs[row] for row in rows],
        chosen=None if scored.chosen is None else scored.chosen[rows],
        rejected=None if scored.rejected is None else scored.rejected[rows],
    )


def _save(
    engine: Engine, trainer: Supervised, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Write the trained model with its tokenizer; the folder appears whole or not at all.

    All ranks call it, the first one writes.
    """
    temporary = folder.with_name(f"{folder.name}.unfinished")
    if ranks.is_first():
        shutil.rmtree(temporary, ignore_errors=True)
    engine.export(trainer, temporary)
    if ranks.is_first():
        tokenizer.save_pretrained(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    ranks.barrier()


def validator(
    trainer: Supervised,
    params: Params,
    engine: Engine,
    objective: Objective,
    reference: ScoredPairs,
) -> Validate:
    """Make what maps a model to its loss on the validation pairs, share preferred, and margin.

    Args:
        trainer: whose model is validated.
        params: of the job.
        engine: that trains.
        objective: whose loss it is.
        reference: the validation pairs, scored by the reference where the objective has one.
    """
    settings = params.settings()
    batch_size = 2 * params.layout().micro_batch

    def validate(model: PreTrainedModel) -> Mapping[str, float]:
        # Divided weights come together only under what is wrapped around the model.
        running = trainer.model_wrapped if Held.WEIGHTS in engine.SHARDED else model
        policy = score_pairs(running, reference.pairs, batch_size=batch_size, dtype=params.dtype)
        assert policy.chosen is not None and policy.rejected is not None
        metrics = {
            "loss": objective.validation_loss(policy, reference, settings),
            "chosen_preferred": float((policy.chosen > policy.rejected).mean()),
        }
        if reference.chosen is not None:
            gains = margins(policy, reference)
            metrics["margin"] = settings["beta"] * float(gains.mean())
            metrics["accuracy"] = float((gains > 0).mean())
        return metrics

    return validate
