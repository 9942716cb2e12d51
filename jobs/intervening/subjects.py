"""`Subjects`: base and aligned model of a job as subjects of behaviour, on the same tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs.behaviour.subject import Subject, max_length_of, toxic_words_of
from jobs.extraction.paired_inputs import build_shared_plan, require_common_model
from jobs.models.device import pick_device
from jobs.models.facts import MODEL_FACTS, compute_dtype
from jobs.models.loading import load_tokenizer
from jobs.taps.pair_loading import PairLoading
from jobs.text.transform import load_transform
from jobs.worker.work import Work


class Subjects:
    """Loads the model that is asked for and lets the other go, unless both share their weights."""

    def __init__(self, work: Work) -> None:
        """Raises UserError when the two are no pair, or no prompt fits them."""
        base, aligned, prompts = (work.input(name) for name in ("base", "aligned", "prompts"))
        facts, params = require_common_model(base, aligned), work.params
        folder = base.directory("model")
        plan, too_long = build_shared_plan(base, aligned, prompts, max_length_of(folder, params))
        self._loading = PairLoading(
            work,
            dtype=compute_dtype(params.dtype, facts["num_parameters"]),
            device=pick_device(params.num_gpus),
        )
        self._models: dict[str, Any] = {}
        self.common = Subject(
            about={name: work.input(params.subject).facts["model"][name] for name in MODEL_FACTS},
            model=None,
            tokenizer=load_tokenizer(folder),
            plan=plan,
            too_long=too_long,
            shuffled=None,
            transform=load_transform(prompts.facts["transform"]),
            toxic_words=toxic_words_of(work),
        )
        """All but the model; `about` is of the one that is changed."""

    def load(self, name: str) -> Subject:
        """The subject whose model stands under this input."""
        if name not in self._models:
            self._models.clear()
            if self._loading.has_adapter:
                base, aligned = self._loading.switched()
                self._models.update(base=base, aligned=aligned)
            else:
                self._models[name] = self._loading.one(name)
        return replace(self.common, model=self._models[name])
