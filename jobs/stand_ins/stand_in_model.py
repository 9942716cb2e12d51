"""Writes tiny random models: language models of every family, and classifiers of texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.models.family import Family, family_of_config
from jobs.models.gguf.checkpoint import write_tokenizer
from jobs.stand_ins.known_model import KnownModel
from jobs.stand_ins.small_config import WIDTH, small_fields, small_mapping
from jobs.stand_ins.stand_in_tokenizer import copy_tokenizer, make_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NOISE = 0.05
"""Share of its own by which a stand-in differs from another of the same config: two models that the
study compares are neither the same nor strangers."""
_SMALL_CLASSIFIER = {
    **dict.fromkeys(("hidden_size", "dim", "d_model", "embedding_size"), WIDTH),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "encoder_ffn_dim", "decoder_ffn_dim"), 64),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_heads", "num_key_value_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
}
"""Settings of transformers' classifiers that decide their size."""


@dataclass(frozen=True)
class WrittenModel:
    """What of a tiny model is the real one's."""

    has_real_tokenizer: bool
    """Whether its tokenizer is the real one."""
    oddness: str | None = None
    """Why its shape is not the real config.json's, which is here; None where it is, or none is."""


def write_language_model(
    folder: Path,
    known: KnownModel,
    fields: Mapping[str, Any],
    texts: Sequence[str],
    *,
    seed: int,
    keeps_layers: bool,
) -> WrittenModel:
    """Write a tiny model with its tokenizer, as it is published.

    Args:
        folder: where to; it must not exist.
        known: what is here of the real model.
        fields: our fields of it, by which it is made where its config.json is not here, or cannot
            be made small.
        texts: what a tokenizer is made of where the real one is not here.
        seed: decides in what it differs from others of the same config.
        keeps_layers: whether it has as many blocks as the real one.

    Returns:
        What of it is the real one's.

    Raises:
        UserError: the real config.json is none that transformers can read.
    """
    folder.mkdir(parents=True)
    config = fields if known.config is None else known.config
    family = family_of_config(config)
    is_real = _take_tokenizer(known, folder)
    own: dict[str, Any] = {}
    if known.config is None or not is_real:
        tokenizer = make_tokenizer(str(config.get("family", config.get("model_type"))), texts)
        tokenizer.save_pretrained(folder)
        ends = {f"{end}_token_id": getattr(tokenizer, f"{end}_token_id") for end in ("bos", "eos")}
        own = {**ends, "vocab_size": len(tokenizer)}
    model, oddness = None, None
    if known.config is not None:
        _require_readable(family, known.config)
        try:
            model = _model(_as_real(family, known.config, own, keeps_layers), seed)
        except Exception as error:  # whatever a shape nobody thought of leads to, here and there
            oddness = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            names = ("vocab_size", "bos_token_id", "eos_token_id")
            own = own or {name: known.config[name] for name in names if name in known.config}
    if model is None:
        model = _model(_as_described(family, fields, own, keeps_layers), seed)
    model.save_pretrained(folder)
    return WrittenModel(is_real, oddness)


def _as_real(
    family: Family, config: Mapping[str, Any], own: Mapping[str, Any], keeps_layers: bool
) -> Any:
    """Return the config of a real one made small, with what our own tokenizer sets of it."""
    import transformers

    small = small_mapping(config, keeps_layers=keeps_layers)
    if own:
        vocabulary = family.FIELDS["vocab_size"].name
        small |= {**own, "pad_token_id": None, vocabulary: own["vocab_size"]}
    return getattr(transformers, family.HF_CONFIG).from_dict(small)


def _as_described(
    family: Family, fields: Mapping[str, Any], own: Mapping[str, Any], keeps_layers: bool
) -> Any:
    """Return a small config of our fields, with what the tokenizer sets of it."""
    ids = dict(own)
    whole = {**fields, "vocab_size": ids.pop("vocab_size", None) or fields["vocab_size"]}
    built = family.hf_config(small_fields(whole, keeps_layers=keeps_layers))
    for setting, value in ids.items():
        setattr(built, setting, value)
    return built


def _model(config: Any, seed: int) -> "PreTrainedModel":
    import torch
    import transformers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        _change(model, seed)
    return model


def write_classifier(
    folder: Path, known: KnownModel, labels: Sequence[str], texts: Sequence[str]
) -> bool:
    """Write a tiny classifier of texts; return whether its labels and tokenizer are the real ones.

    Raises:
        UserError: the real one is no classifier that transformers knows.
    """
    import torch
    import transformers

    folder.mkdir(parents=True)
    is_real = known.config is not None and _take_tokenizer(known, folder)
    if is_real:
        assert known.config is not None
        small = {
            **known.config,
            **{n: v for n, v in _SMALL_CLASSIFIER.items() if n in known.config},
        }
        try:
            config = transformers.AutoConfig.for_model(**small)
        except (KeyError, ValueError) as error:
            raise UserError(
                f"transformers knows no classifier of type {small.get('model_type')!r}",
                where=str(known.folder),
            ) from error
    else:
        tokenizer = make_tokenizer("roberta", texts)
        tokenizer.pad_token = tokenizer.eos_token
        tokenizer.save_pretrained(folder)
        config = transformers.RobertaConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            pad_token_id=tokenizer.pad_token_id,
            id2label=dict(enumerate(labels)),
            label2id={label: place for place, label in enumerate(labels)},
            problem_type="multi_label_classification",
        )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
    model.save_pretrained(folder)
    return is_real


def _require_readable(family: Family, config: Mapping[str, Any]) -> None:
    """Raise UserError for a real config.json that transformers cannot read."""
    import transformers

    try:
        getattr(transformers, family.HF_CONFIG).from_dict(dict(config))
    except Exception as error:  # the library raises whatever its checks meet
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"no model can be built from its config.json: {reason}") from error


def _take_tokenizer(known: KnownModel, folder: Path) -> bool:
    """Write the real tokenizer where it is here; return whether it is."""
    if known.gguf is not None:
        write_tokenizer(known.gguf, folder, str(known.gguf))
        return True
    return known.folder is not None and copy_tokenizer(known.folder, folder)


def _change(model: "PreTrainedModel", seed: int) -> None:
    """Move every matrix by a share of its own length, in a direction that the seed decides."""
    import torch

    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                noise = torch.randn(weight.shape, generator=drawn)
                weight += _NOISE * weight.std() * noise
