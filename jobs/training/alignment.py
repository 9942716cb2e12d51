"""One alignment run: inputs to lesson, lesson to trainer, trainer to checkpoint."""

import copy
import gc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cluster.errors import UserError
from jobs import lookup
from jobs.models.device import pick_device
from jobs.models.loading import describe_model, load_config, load_model, load_tokenizer
from jobs.training.adapters.adapter_outcome import merge_into_base
from jobs.training.adapters.adapter_reference import scored_by_base
from jobs.training.adapters.lora import add_adapter, in_single_precision, save_adapter
from jobs.training.adapters.lora_settings import Lora
from jobs.training.adapters.quantisation import quantisation
from jobs.training.chat_pairs import template_digest, template_for
from jobs.training.engine import Engine, prepare
from jobs.training.in_force import check_before_training
from jobs.training.layout import Layout
from jobs.training.model_card import base_on_hub, write_model_card
from jobs.training.objective import Lesson, ScoredPairs
from jobs.training.probe import watch_memory
from jobs.training.recipe import Recipe, data_order
from jobs.training.reference_scores import require_fitting
from jobs.training.supervision import train
from jobs.training.tokenized_pairs import (
    TokenizedPair,
    length_limit,
    read_tokenized_pairs,
    tokens_digest,
)
from jobs.training.validation import validator
from jobs.training.whole_weights import save_trained
from jobs.worker import ranks
from jobs.worker.work import Work


def align(work: Work) -> dict[str, Any]:
    """Train the model under `model` towards the objective; returns the record's facts."""
    params, layout = work.params, work.params.layout()
    engine = _engine(layout)
    work.progress(None, "loading")
    folder = work.input("model").directory("model")
    tokenizer = load_tokenizer(folder)
    limit = length_limit(load_config(folder), params.max_length)
    template = template_for(params.template, tokenizer, work.input("model"))
    path = work.input("pairs").path("pairs.parquet")
    pairs = read_tokenized_pairs(path, tokenizer, limit, template)
    counted = Counter(pair.split for pair in pairs)
    recipe = params.recipe(_num_steps(params, counted["train"]))
    with engine.session(layout, recipe):
        facts = _trained(work, engine, recipe, pairs, tokenizer)
    # Trainer and callbacks hold each other, and with them a model and its moments that nothing
    # needs any more; this process loads others.
    gc.collect()
    if params.lora is not None:
        facts["adapter"] = merge_into_base(work)
    facts["training"] |= {
        "objective": params.objective,
        "num_pairs": counted["train"],
        "num_validation": counted["validation"],
        "num_truncated": sum(pair.truncated for pair in pairs),
        "tokens_digest": tokens_digest(pairs),
        "template": template_digest(template),
        "layout": layout.execution,
    }
    if ranks.is_first():
        write_model_card(work, "align", facts)
    return facts


def _engine(layout: Layout) -> Engine:
    """The engine of a run, which stands on as many ranks as were planned."""
    engine: Engine = lookup.find("engines", layout.engine, where="engine")
    if engine.NEEDS_GPU and not layout.num_gpus:
        raise UserError(
            f"engine {layout.engine!r} needs GPUs, and this job has none",
            where="engine",
            allowed=[
                name
                for name in lookup.names("engines")
                if not lookup.find("engines", name).NEEDS_GPU
            ],
        )
    assert ranks.num_ranks() == layout.num_ranks, f"{ranks.num_ranks()} ranks, planned {layout}"
    return engine


def _trained(
    work: Work, engine: Engine, recipe: Recipe, pairs: Sequence[TokenizedPair], tokenizer: Any
) -> dict[str, Any]:
    """Load, train and write the model; facts of all three."""
    params, layout = work.params, work.params.layout()
    objective = lookup.find("objectives", params.objective)
    device = _device(layout)
    model = _loaded(params, work.input("model").directory("model"), device)
    ranks.barrier()  # what follows has the short patience of a step
    # Trainers write special tokens into both configs; the aligned model differs in weights alone.
    untouched = copy.deepcopy((model.config, model.generation_config))
    scored = _scored(work, model, pairs, needed=objective.USES_REFERENCE)
    training, validation = _split(scored, "train"), _split(scored, "validation")
    arguments = recipe.trainer_arguments(work.folder / "checkpoints", device, layout.num_ranks)
    trainer = objective.make_trainer(
        Lesson(
            model=model,
            tokenizer=tokenizer,
            scored=training,
            order=data_order(len(training.pairs), recipe.steps * recipe.global_batch, params.seed),
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
    trainer.supervise(
        params.supervision(work, recipe, validate=validate, validate_every=params.validate_every)
    )
    prepare(engine, trainer, layout)
    in_force = check_before_training(trainer, engine, layout)
    memory = watch_memory(trainer, params, training.pairs)
    outcome = train(trainer)
    model.config, model.generation_config = untouched
    if params.lora is None:
        save_trained(engine, trainer, tokenizer, work.folder / "model")
    else:
        save_adapter(model, work.folder / "adapter")
    return {
        "model": describe_model(model.config),
        "base_model": base_on_hub(work),
        "memory": memory.facts(),
        "training": {**outcome, "engine_in_force": in_force},
    }


def _device(layout: Layout) -> str:
    """Where this rank computes; of several GPUs on this node, the one with its number."""
    device = pick_device(layout.num_gpus)
    if device == "cuda" and layout.num_ranks > 1:
        import torch

        torch.cuda.set_device(ranks.local_rank())
    return device


def _loaded(params: Any, folder: Path, device: str) -> Any:
    """The model to train, or one that is frozen with an adapter to train beside it."""
    lora: Lora | None = params.lora
    quantised = quantisation(lora, params.dtype, device)
    where: Any = device if quantised is None else {"": device}
    model = load_model(
        folder,
        dtype="float32",
        device=where,
        attention=params.attention,
        quantisation=quantised,
    )
    if lora is not None:
        add_adapter(model, lora, params.seed)
    return model


def _num_steps(params: Any, num_pairs: int) -> int:
    if not num_pairs:
        raise UserError("there are no training pairs", where="pairs.parquet")
    if params.steps is not None:
        return int(params.steps)
    return max(1, round(float(params.epochs or 1.0) * num_pairs / int(params.global_batch)))


def _scored(work: Work, model: Any, pairs: Sequence[TokenizedPair], *, needed: bool) -> ScoredPairs:
    """The pairs with what the reference gave them."""
    if not needed:
        return ScoredPairs(pairs=pairs, chosen=None, rejected=None)
    if not work.has("reference"):
        if work.params.lora is not None:
            return scored_by_base(work, model, pairs)
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
