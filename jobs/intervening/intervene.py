"""Kind `intervene`: both models as they are, then one of them at every dose and random control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.measurement import Measurement
from jobs.behaviour.prompted_model import (
    PreparedPrompts,
    PromptedModel,
    load_toxic_words,
    longest_prompt_of,
)
from jobs.extraction.paired_inputs import (
    build_shared_plan,
    require_common_model,
    settings_facts,
)
from jobs.intervening.dose_measurements import AXIS, DIRECTION, NAME, DoseValues, measure_doses
from jobs.intervening.intervene_params import InterveneParams
from jobs.intervening.intervention import INTERVENTIONS, Edit, Intervention, Target
from jobs.intervening.passes import Passes
from jobs.intervening.targets import Absent, find_target
from jobs.models.language_model import LanguageModel
from jobs.models.loading import load_tokenizer
from jobs.models.model_facts import MODEL_FACTS
from jobs.taps.pair_loading import PairLoading
from jobs.text.transform import load_transform
from jobs.worker.measured_rows import log_curves, write_measurements
from jobs.worker.work import Work

_OTHER = {"base": "aligned", "aligned": "base"}
_UNITS = {
    "typical-norm": "the median norm there",
    "absolute": "length 1",
    "own-length": "the direction's own length",
}
_NEWEST = "at every position, along directions at the newest token alone of what is decoded"


def intervene(work: Work[InterveneParams]) -> dict[str, object]:
    """Measure every dose and control and write the rows; return the record's facts."""
    params = work.params
    assert params.subject is not None and params.doses is not None, "defaults are written out"
    changed = params.subject
    intervention = INTERVENTIONS.find(params.intervention)
    pair = PromptedPair(work)
    passes = Passes(work, pair.prompts)
    other = passes.run(lambda: pair.load(_OTHER[changed]))
    prompted = pair.load(changed)
    plain = passes.run(lambda: prompted)
    target = find_target(work, prompted, intervention)
    doses: dict[float, DoseValues | Absent] = {
        dose: target
        if isinstance(target, Absent)
        else _run_dose(passes, params, prompted, intervention, target, dose)
        for dose in params.doses
    }
    definition = _definition(params, intervention)
    measurements = [
        replace(measurement, axes={**_own_axes(params), **measurement.axes})
        for measurement in measure_doses(plain, other, doses, definition)
    ]
    log_curves(work.tracker, measurements, _point_of)
    return {
        "definition": intervention.DEFINITION,
        "rows": write_measurements(
            work.folder, measurements, pair.about, [*_own_axes(params), AXIS]
        ),
        "num_prompts": len(prompted.plan.prompts),
        **prompted.left_out.facts(),
        **settings_facts(work.input("base"), work.input("aligned")),
        "num_toxic_words": passes.toxic.num_words,
        "num_toxic_words_covered": passes.toxic.num_covered,
        "passes_taken_over": passes.num_taken_over,
        **_target_facts(target),
    }


def _run_dose(
    passes: Passes,
    params: InterveneParams,
    prompted: PromptedModel,
    intervention: Intervention,
    target: Target,
    dose: float,
) -> DoseValues:
    controls = [  # the same at every dose
        target.randomised(np.random.default_rng([params.seed, number]))
        for number in range(params.random_controls)
    ]
    patched, *others = [
        passes.run(lambda: prompted, _edits(params, intervention, item, dose))
        for item in (target, *controls)
    ]
    return DoseValues(patched=patched, controls=others)


def _edits(
    params: InterveneParams, intervention: Intervention, target: Target, dose: float
) -> list[Edit]:
    newest_only = params.edited == "newest" and params.made_of != "neurons"
    return [replace(edit, newest_only=newest_only) for edit in intervention.edits(target, dose)]


def _own_axes(params: InterveneParams) -> dict[str, str]:
    """Return the axes that the job adds: with doses of a direction's own length, which it is, too.

    Otherwise the direction stands in the definition, as before there were such doses.
    """
    axes = {NAME: params.intervention}
    if params.dose_unit == "own-length" and params.made_of != "neurons":
        axes[DIRECTION] = params.made_of
    return axes


def _definition(params: InterveneParams, intervention: Intervention) -> str:
    """Write what was done, with a place for the metric; the same words for every intervention.

    A table has a column for each definition, and interventions are to stand side by side.
    """
    unit = _UNITS[params.dose_unit]
    made = "" if params.dose_unit == "own-length" else f"{params.direction}, "
    place = "at every position" if params.edited == "every" else _NEWEST
    changed = "" if params.subject == intervention.SUBJECT else f"; the {params.subject} is changed"
    return (
        f"v1: {{metric}} with activations changed {place} (directions: at {params.site}, "
        f"depth {params.depth:g}, {made}dose 1 of {unit}, of a mean offset its own "
        f"length, mean δ at {params.position}; neurons: the {params.num_vectors} most "
        f"toxic{changed}); recovered: share of the way to the other model, paired by prompt "
        f"group; null band: "
        f"{params.random_controls} random directions, or sets of other neurons; {{metric}}: "
    )


def _target_facts(target: Target | Absent) -> dict[str, object]:
    if isinstance(target, Absent):
        return {"layer": None, "step": None, "neurons": []}
    neurons = [[layer, int(i)] for layer, chosen in target.neurons.items() for i in chosen]
    has_direction = target.direction is not None
    return {
        "layer": target.layer if has_direction else None,
        "step": target.step if has_direction else None,
        "neurons": neurons,
        **({} if target.share is None else {"share_of_mean_offset": target.share}),
    }


def _point_of(measurement: Measurement) -> tuple[str, float, str]:
    """Return the place of a value in a curve over doses."""
    dose = float(str(measurement.axes[AXIS]))
    return AXIS, dose, f"{measurement.metric}/{measurement.position}"


class PromptedPair:
    """Loads either model and lets the other go, unless both share their weights."""

    def __init__(self, work: Work[InterveneParams]) -> None:
        """Prepare the prompts. Raises UserError where the two are no pair, or no prompt fits."""
        base, aligned, prompts = (work.input(name) for name in ("base", "aligned", "prompts"))
        require_common_model(base, aligned)
        params = work.params
        folder = base.directory("model")
        plan, left_out = build_shared_plan(
            base, aligned, prompts, longest_prompt_of(folder, params), cut=params
        )
        self._loading = PairLoading(work)
        self._models: dict[str, LanguageModel] = {}
        changed = work.input(params.subject or "base").facts["model"]
        self.about = {name: changed[name] for name in MODEL_FACTS}
        """MODEL_FACTS of the model that is changed."""
        self.prompts = PreparedPrompts(
            tokenizer=load_tokenizer(folder),
            plan=plan,
            left_out=left_out,
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
        model = self._models[name]
        return PromptedModel(**vars(self.prompts), about=self.about, load=lambda: model)
