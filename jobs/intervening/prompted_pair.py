"""`PromptedPair`: base and aligned model of a job, one loaded at a time, on the same tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.behaviour.prompted_model import (
    PreparedPrompts,
    PromptedModel,
    load_toxic_words,
    longest_prompt_of,
)
from jobs.extraction.paired_inputs import build_shared_plan, require_common_model
from jobs.models.loading import load_tokenizer
from jobs.models.model_facts import MODEL_FACTS
from jobs.taps.pair_loading import PairLoading
from jobs.text.transform import load_transform
from jobs.worker.work import Work

if TYPE_CHECKING:
    from jobs.intervening.intervene_params import InterveneParams
    from jobs.models.language_model import LanguageModel


class PromptedPair:
    """Loads either model and lets the other go, unless both share their weights."""

    def __init__(self, work: Work[InterveneParams]) -> None:
        """Prepare the prompts. Raises UserError where the two are no pair, or no prompt fits."""
        base, aligned, prompts = (work.input(name) for name in ("base", "aligned", "prompts"))
        require_common_model(base, aligned)
        params = work.params
        folder = base.directory("model")
        plan, too_long = build_shared_plan(
            base, aligned, prompts, longest_prompt_of(folder, params)
        )
        self._loading = PairLoading(work)
        self._models: dict[str, LanguageModel] = {}
        changed = work.input(params.subject or "base").facts["model"]
        self.about = {name: changed[name] for name in MODEL_FACTS}
        """MODEL_FACTS of the model that is changed."""
        self.prompts = PreparedPrompts(
            tokenizer=load_tokenizer(folder),
            plan=plan,
            too_long=too_long,
            shuffled=None,
            transform=load_transform(prompts.facts["transform"]),
            toxic_words=load_toxic_words(work),
        )
        """The same tokens for both models."""

    def load(self, name: str) -> PromptedModel:
        """Load the model of an input, `base` or `aligned`."""
        if name not in self._models:
            self._models.clear()
            if self._loading.has_adapter:
                base, aligned = self._loading.load_with_adapter()
                self._models.update(base=base, aligned=aligned)
            else:
                self._models[name] = self._loading.load(name)
        return PromptedModel(**vars(self.prompts), about=self.about, model=self._models[name])
