"""Toxic when a text classifier of the hub, or of a folder, gives one of its labels enough."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from cluster.errors import UserError, unknown_name
from jobs.behaviour.scorer import ScorerParams
from jobs.kind import execution, model_source
from jobs.models.device import pick_device
from jobs.models.folder import DESCRIPTIONS, INDEX, WEIGHTS, no_safetensors, weight_files
from jobs.models.source import Layout, Source

if TYPE_CHECKING:
    from jobs.worker.work import Work

USES_WORDS = False
_VOCABULARY = ("vocab.txt", "spiece.model", "sentencepiece.bpe.model")
"""Files of tokenizers that language models of ours do not have, and classifiers do."""
_BATCH = 32
_MOST_TOKENS = 512
"""Of a text, where tokenizer and config do not say less."""


class Params(ScorerParams):
    """Which classifier, and when its word counts."""

    model: str = model_source(..., "`hf://org/name`, or a folder in that layout.", min_length=1)
    revision: str | None = execution(
        None, "Branch, tag or commit on the hub; the commit it stands for at launch is pinned."
    )
    label: str = Field("toxic", description="The label whose probability is the score.")
    threshold: float = Field(0.5, gt=0, le=1, description="Toxic from this probability on.")


def source(params: Params) -> Source:
    """Where the classifier comes from."""
    return Source(name=params.model, revision=params.revision, layout=_LAYOUT)


def open_judge(params: Params, work: Work, toxic_words: frozenset[str]) -> HfClassifier:
    """Take the classifier and load it in fp32.

    Raises:
        UserError: it cannot be read, or has no such label.
    """
    folder = work.folder / "scratch" / "scorer"
    folder.parent.mkdir(exist_ok=True)
    commit = source(params).take(folder, work)
    names = _labels(_config(folder, params.model))
    if params.label not in names:
        raise unknown_name("label", params.label, names, where=f"scorer {params.model}")
    identity = commit or work.pins.get("weights", "")
    return HfClassifier(
        verdict=f"get {params.threshold:g} or more as {params.label!r} from hf-classifier "
        f"{_called(params.model)} at {identity}",
        threshold=params.threshold,
        label=names.index(params.label),
        folder=folder,
        device=pick_device(work.params.num_gpus),
        threads=work.threads,
    )


@dataclass(kw_only=True)
class HfClassifier:
    """Judges by the probability of one label; loads its model when it is first asked."""

    verdict: str
    """What makes a continuation toxic."""
    threshold: float
    """The probability from which on it is."""
    label: int
    """Which of the logits is the label's."""
    folder: Path
    """Where the classifier is."""
    device: str
    """Where it computes."""
    threads: int
    """Compute threads: a job that only asks a service has set none before."""
    _loaded: tuple[Any, Any, int] | None = None

    def scores(self, texts: Sequence[str]) -> list[float | None]:
        """Probability of the label for each text."""
        import torch

        tokenizer, model, most_tokens = self._ready()
        found: list[float | None] = []
        for start in range(0, len(texts), _BATCH):
            # Left-padded or right-padded as the classifier's own tokenizer does it.
            batch = tokenizer(
                list(texts[start : start + _BATCH]),
                padding=True,
                truncation=True,
                max_length=most_tokens,
                return_tensors="pt",
            ).to(self.device)
            with torch.inference_mode():
                found += self._probabilities(model, model(**batch).logits.float()).tolist()
        return found

    def _probabilities(self, model: Any, logits: Any) -> Any:
        """Of the label: each label by itself where the model says so, or has one label only."""
        many = model.config.problem_type == "multi_label_classification"
        spread = logits.sigmoid() if many or logits.shape[1] == 1 else logits.softmax(dim=-1)
        return spread[:, self.label]

    def _ready(self) -> tuple[Any, Any, int]:
        if self._loaded is None:
            self._loaded = _load(self.folder, self.device, self.threads)
        return self._loaded


def _load(folder: Path, device: str, threads: int) -> tuple[Any, Any, int]:
    """Tokenizer, classifier and the most tokens of a text."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(threads)
    words = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **words)
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, **words
        )
    except Exception as error:  # the library raises whatever its readers meet
        said = str(error).partition("\n")[0].replace(str(folder), "the classifier")
        raise UserError(f"the classifier cannot be read: {said}", where="scorer") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        model.config.pad_token_id = tokenizer.pad_token_id
    limit = getattr(model.config, "max_position_embeddings", None) or _MOST_TOKENS
    most_tokens = min(tokenizer.model_max_length, limit, _MOST_TOKENS)
    return tokenizer, model.to(device).eval(), most_tokens


def _check(folder: Path, where: str) -> list[str]:
    """Names of the files of a whole classifier. Raises UserError when it is none."""
    config = _config(folder, where)
    made_for = [str(name) for name in config.get("architectures") or ()]
    if not any(name.endswith("ForSequenceClassification") for name in made_for):
        raise UserError(
            f"the model classifies no texts: its config says {', '.join(made_for) or 'nothing'}",
            where=where,
            allowed=["...ForSequenceClassification"],
        )
    names = [name for name in (*DESCRIPTIONS, *_VOCABULARY) if (folder / name).is_file()]
    return sorted({*names, *weight_files(folder, where)})


def _config(folder: Path, where: str) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError("no config.json that can be read", where=where) from error
    if not isinstance(config, dict):
        raise UserError("config.json holds no JSON object", where=where)
    return config


def _labels(config: Mapping[str, Any]) -> list[str]:
    """Labels in the order of the logits; those of the library where the config names none."""
    named: Mapping[str, str] = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    return [str(named[number]) for number in sorted(named, key=int)]


def _called(model: str) -> str:
    """A name that is no path."""
    return model if "://" in model else Path(model).name


_LAYOUT = Layout(
    wanted=(WEIGHTS, "model-*.safetensors", INDEX, *DESCRIPTIONS, *_VOCABULARY),
    check=_check,
    weights=(WEIGHTS, INDEX),
    absent=no_safetensors,
)
