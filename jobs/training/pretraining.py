"""One pretraining run: documents to rows, rows to a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)

from cluster.errors import UserError
from jobs.artifacts.artifact import digest_bytes
from jobs.models.device import pick_device
from jobs.models.family import attention_kernel, family_of_config
from jobs.models.loading import describe_model, save_checkpoint
from jobs.text import corpus
from jobs.text.format import FORMATS, Format
from jobs.training.determinism import repeating_kernels
from jobs.training.model_card import write_model_card
from jobs.training.pretrain_params import Params
from jobs.training.recipe import Recipe, data_order
from jobs.training.supervision import Supervised, Supervision, train
from jobs.worker.work import Work


class Rows:
    """Packed rows in the order of the run, as a Trainer takes them."""

    def __init__(
        self, rows: Int64[np.ndarray, "rows sequence"], order: Int64[np.ndarray, " needed"]
    ) -> None:
        self.rows = rows
        self.order = order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> Int64[np.ndarray, " sequence"]:
        row: Int64[np.ndarray, " sequence"] = self.rows[self.order[place]]
        return row


def pretrain(work: Work[Params]) -> dict[str, object]:
    """Train the architecture of the params from scratch; return the record's facts."""
    params = work.params
    work.progress(None, "reading documents")
    read = _read_corpus(params)
    tokenizer, rows = read.tokenizer, read.rows
    device = pick_device(params.layout().num_gpus)
    model = _new_model(params, tokenizer).to(device)
    recipe = params.recipe(params.steps)
    order = data_order(len(rows), recipe.steps * params.global_batch, params.seed)
    trainer = _make_trainer(model, Rows(rows, order), recipe, work.folder / "checkpoints", device)
    trainer.supervise(Supervision(work=work, recipe=recipe))
    with repeating_kernels(params.deterministic):
        outcome = train(trainer)
    save_checkpoint(model, tokenizer, work.folder / "model")
    facts: dict[str, object] = {
        "model": describe_model(model.config),
        "training": {
            "num_documents": read.num_documents,
            **read.about,
            "num_rows": len(rows),
            "tokens_digest": digest_bytes(rows.tobytes()),
            "num_passes": round(len(order) / len(rows), 3),
            **outcome,
        },
    }
    write_model_card(work, "pretrain", facts)
    return facts


_DECIDES_ROWS = {"options", "max_dropped", "vocab_size", "sequence_length", "seed"}
"""Params that decide the rows, beside format and source."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Corpus:
    """Documents as a run sees them."""

    num_documents: int
    """Number of documents."""
    about: Mapping[str, object]
    """What a record says of rows left out."""
    tokenizer: PreTrainedTokenizerFast
    """Trained on them."""
    rows: Int64[np.ndarray, "rows sequence"]
    """Their tokens, packed."""


_latest: dict[tuple[Format[Any], str], _Corpus] = {}
"""The corpus that was generated last in this process, and what decides it."""


def _read_corpus(params: Params) -> _Corpus:
    """Read, or generate, the documents; a ladder's models in a row share what is generated."""
    deciding = params.model_dump(include=_DECIDES_ROWS)
    asked = FORMATS.find(params.format), json.dumps(deciding, sort_keys=True)
    if params.source is None and asked in _latest:
        return _latest[asked]
    documents, about = corpus.read_documents(
        params.format, params.source, params.options, params.max_dropped
    )
    tokenizer = corpus.train_tokenizer(params.format, documents, params.vocab_size)
    rows = packed_rows(documents, tokenizer, params.sequence_length, params.seed)
    read = _Corpus(num_documents=len(documents), about=about, tokenizer=tokenizer, rows=rows)
    if params.source is None:
        _latest.clear()
        _latest[asked] = read
    return read


def _new_model(params: Params, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Make the architecture with fresh weights, fp32."""
    num_tokens = len(tokenizer)
    fields = {"vocab_size": num_tokens, **params.config}
    if fields["vocab_size"] < num_tokens:
        raise UserError(
            f"vocab_size {fields['vocab_size']} of the config is less than the "
            f"{num_tokens} tokens of the tokenizer",
            where="config",
        )
    config = family_of_config(fields).hf_config(fields)
    if params.sequence_length > config.max_position_embeddings:
        raise UserError(
            f"sequence_length {params.sequence_length} is more than the model's "
            f"{config.max_position_embeddings} positions",
            where="sequence_length",
        )
    config.eos_token_id = (
        tokenizer.eos_token_id
    )  # the token that ended its documents ends its answers
    set_seed(params.seed)
    return AutoModelForCausalLM.from_config(
        config,
        dtype=torch.float32,
        attn_implementation=attention_kernel(fields, params.attention),
    )


def _make_trainer(
    model: PreTrainedModel, rows: Rows, recipe: Recipe, folder: Path, device: str
) -> Supervised:

    class PretrainTrainer(Supervised, Trainer):  # type: ignore[misc]
        pass

    arguments = TrainingArguments(**recipe.trainer_arguments(folder, device))
    return PretrainTrainer(model=model, args=arguments, train_dataset=rows, data_collator=_collate)


def _collate(rows: Sequence[Int64[np.ndarray, " sequence"]]) -> dict[str, Tensor]:

    token_ids = torch.from_numpy(np.stack(rows))
    return {"input_ids": token_ids, "labels": token_ids}


_STREAM = 1
"""Keeps the order of documents apart from the order of rows, which has the same seed."""


def packed_rows(
    documents: Sequence[str], tokenizer: PreTrainedTokenizerBase, sequence_length: int, seed: int
) -> Int64[np.ndarray, "rows sequence"]:
    """Return token ids of the documents in a seeded order, each ended by EOS, cut into rows.

    Tokens that do not fill the last row are left out.

    Raises:
        UserError: there are fewer tokens than one row, or the tokenizer has no EOS.
    """
    if tokenizer.eos_token_id is None:
        raise UserError("the tokenizer has no end-of-text token to join documents with")
    ids = tokenizer(list(documents), add_special_tokens=False)["input_ids"]
    order = np.random.default_rng([seed, _STREAM]).permutation(len(ids))
    joined = [token for place in order for token in (*ids[place], tokenizer.eos_token_id)]
    num_rows = len(joined) // sequence_length
    if not num_rows:
        raise UserError(
            f"the documents have {len(joined)} tokens, fewer than one sequence "
            f"of {sequence_length}",
            where="sequence_length",
        )
    return np.array(joined[: num_rows * sequence_length]).reshape(num_rows, sequence_length)
