"""Kind `align`: a model trained towards preferences with TRL, from pairs and reference scores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cluster.machine.resources import Resources
from jobs.kind import Fit, Input, Kind, Situation, Upstream
from jobs.kinds._shared_inputs import PAIRS, WEIGHTS, are_collected_pairs, planned_pairs
from jobs.provenance import Model
from jobs.rehearsal import StandIns, lowered
from jobs.training.align_params import Params as AlignParams
from jobs.training.align_params import params_with_own_settings
from jobs.training.memorising import why_not_learned
from jobs.training.objective import OBJECTIVES
from jobs.training.snapshots.settings import REHEARSED
from jobs.training.training_log import LOG
from jobs.worker.out_of_memory import as_out_of_memory
from jobs.worker.work import Work

_STEPS = 12
"""Steps of a rehearsal: two more than a run that learns nothing is given."""
_MEMORISING_STEPS = 48


class _WithOwnSettings:
    """The params, with the settings of the objectives that a study brings along."""

    def __get__(self, kind: object, owner: object = None) -> type[AlignParams]:
        return params_with_own_settings()


class Align(Kind[AlignParams]):
    """Trains a model towards preferences."""

    VERSION = 2
    INPUTS = {
        "model": WEIGHTS,
        "pairs": PAIRS,
        "reference": Input(kinds=frozenset({"reference"}), used_if_named=True),
    }
    Params = _WithOwnSettings()
    LEAVES = Model.ALIGNED
    USES_TORCH = True

    def uses(self, params: AlignParams) -> frozenset[str]:
        """Return all inputs, the reference only where the objective needs one from outside.

        A quantised base is its own reference.
        """
        objective = OBJECTIVES.find(params.objective)
        if not objective.TRAINS:
            return frozenset({"model"})
        quantised = params.lora is not None and params.lora.quantised is not None
        needs_reference = objective.USES_REFERENCE and not quantised
        return super().uses(params) - (set() if needs_reference else {"reference"})

    def spares(self, params: AlignParams) -> frozenset[str]:
        """Return the reference where an adapter can be switched off instead."""
        return frozenset() if params.lora is None else frozenset({"reference"})

    def resources(self, params: AlignParams) -> Resources:
        """Return what a job of this layout needs."""
        return params.resources()

    def fit(self, params: AlignParams, at: Situation) -> Fit:
        """Choose what the params leave open, from the model's config and the machines."""
        from jobs.training.planning.training_fit import fit_training

        if not OBJECTIVES.find(params.objective).TRAINS:
            return Fit(resources=params.resources(), execution={}, why="nothing is trained")
        return fit_training(params, at, planned_pairs(at.inputs))

    def expected_bytes(self, params: AlignParams, inputs: Mapping[str, Upstream]) -> int | None:
        """Return the bytes of the weights, which are written in fp32; None for an adapter.

        With those of the models on the way, which may take as much each.
        """
        from jobs.forecast.upstream_models import model_of

        model = None if params.lora is not None else model_of(inputs.get("model"))
        kept = 0 if params.snapshots is None else len(params.snapshots.labels)
        return None if model is None else 4 * model.num_parameters * (1 + kept)

    def notes(self, params: AlignParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say which pairs are refused, how the reference may differ, and that answers end open."""
        from jobs.forecast.upstream_models import model_of
        from jobs.training.planning.refused_pairs import notes_on_pairs
        from jobs.training.planning.snapshot_costs import notes_on_snapshots
        from jobs.training.reference_agreement import notes_on_reference

        notes = [*notes_on_pairs(params, planned_pairs(inputs), inputs["model"])]
        notes += notes_on_reference(params, inputs)
        notes += notes_on_snapshots(params, model_of(inputs["model"]))
        ends_open = params.template == "none" and not params.end_of_text
        if ends_open and OBJECTIVES.find(params.objective).TRAINS and are_collected_pairs(inputs):
            notes.append(
                "answers get no end of text, so the model is not taught where to stop; TRL appends "
                "it: `end_of_text: true`, on the reference too, does so"
            )
        return notes

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Train for a few steps, in one process or two, on processors."""
        small = {
            **super().in_small(written, stand_ins),
            **lowered(self.Params, written, warmup_steps=2, global_batch=8, epochs=1),
            **dict.fromkeys(("engine", "micro_batch", "offload")),
            "checkpoint_every": None,
        }
        whole_batch = OBJECTIVES.find(written.get("objective", "dpo")).WHOLE_BATCH
        if (
            max(written.get(name) or 0 for name in ("num_ranks", "num_gpus")) > 1
            and not whole_batch
        ):
            small["num_ranks"] = min(2, stand_ins.most_ranks)
            small["global_batch"] = 8
        if isinstance(written.get("steps"), int):
            small["steps"] = min(written["steps"], _STEPS)
        if written.get("snapshots") is not None:
            small["snapshots"] = {"steps": [REHEARSED]}
            stand_ins.replaced(f"snapshots: the model after step {REHEARSED} stands for each")
        stop = written.get("early_stopping")
        if isinstance(stop, Mapping) and isinstance(stop.get("every"), int):
            small["early_stopping"] = {**stop, "every": min(stop["every"], _STEPS // 3)}
        lora = written.get("lora")
        if isinstance(lora, Mapping) and isinstance(lora.get("rank"), int):
            small["lora"] = {**lora, "rank": min(lora["rank"], 4), "quantised": None}
            if lora.get("quantised"):
                stand_ins.replaced("lora.quantised: the base is not quantised")
        if any(written.get(name) for name in ("engine", "num_ranks", "num_nodes", "offload")):
            ranks = "processes train" if small["num_ranks"] == 2 else "process trains"
            stand_ins.replaced(
                f"engine, ranks, nodes, offload: {small['num_ranks']} {ranks}, by ddp"
            )
        return small

    def memorising(self, written: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return params that learn by heart what the loss rewards; None where nothing is trained.

        Objective and its settings, adapter, template and what the reference was computed with are
        the study's; the rest is what overfits.
        """
        name = written.get("objective", "dpo")
        if not OBJECTIVES.find(name).TRAINS:
            return None
        fixed = {"optimizer": "adamw", "schedule": "constant", "warmup_steps": 0}
        return {
            **written,
            **fixed,
            "learning_rate": 1e-2,
            "steps": _MEMORISING_STEPS,
            "epochs": None,
            "early_stopping": None,
            "snapshots": None,
            "max_grad_norm": 10.0,
            "weight_decay": 0.0,
            "seed": 0,
        }

    def not_memorised(self, read: Callable[[str], bytes]) -> str | None:
        """Say that the loss never fell; it is the mean over some steps, as pairs differ."""
        return why_not_learned(read(LOG))

    def run(self, work: Work[AlignParams]) -> dict[str, object]:
        """Train, write `model/` and `training_log.jsonl`."""
        from jobs.training.alignment import align, leave_as_is

        if not OBJECTIVES.find(work.params.objective).TRAINS:
            return leave_as_is(work)
        from jobs.training.planning.placement import described

        with as_out_of_memory(f"training by {described(work.params.layout())}"):
            return align(work)
