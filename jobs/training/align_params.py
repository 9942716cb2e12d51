"""Params of kind `align`: what a model is trained towards, and how the work is done."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
    model_validator,
)

from analysis.door import brought_now
from cluster.errors import UserError
from cluster.machine.resources import Resources
from jobs.params import Names, added, execution
from jobs.training.adapters.lora_settings import Lora
from jobs.training.divisors import divisors
from jobs.training.early_stopping import EarlyStopping
from jobs.training.engine import ENGINES, Held
from jobs.training.layout import Layout
from jobs.training.objective import OBJECTIVES, Setting
from jobs.training.params import TrainingParams
from jobs.training.reference_params import PairScoringParams
from jobs.training.snapshots.settings import Snapshots


def _settings_by_objective(objectives: Iterable[str]) -> dict[str, dict[str, Setting]]:
    """Return every setting that some of these has: its name -> objective -> its declaration."""
    settings: dict[str, dict[str, Setting]] = {}
    for objective in objectives:
        for name, setting in OBJECTIVES.find(objective).SETTINGS.items():
            settings.setdefault(name, {})[objective] = setting
    return settings


def _as_param(settings: dict[str, Setting]) -> tuple[object, object]:
    """Return type and declaration of the param for one setting, as pydantic takes them.

    Args:
        settings: objective -> its declaration of the setting.
    """
    ((description, below),) = {
        (setting.description, setting.below) for setting in settings.values()
    }
    may_be_zero = any(setting.may_be_zero for setting in settings.values())
    objectives: dict[float, list[str]] = {}
    for objective, setting in settings.items():
        objectives.setdefault(setting.default, []).append(objective)
    defaults = [f"{default:g} for {' and '.join(names)}" for default, names in objectives.items()]
    text = ", ".join(defaults) if len(objectives) > 1 else f"{next(iter(objectives)):g}"
    field = Field(
        None,
        gt=None if may_be_zero else 0,
        ge=0 if may_be_zero else None,
        lt=below,
        description=f"{description} Null: {text}.",
    )
    return float | None, field


_SETTINGS = _settings_by_objective(OBJECTIVES.package_names())
"""The params that an objective of the package may have or lack."""

if TYPE_CHECKING:

    class _WithSettings(TrainingParams, PairScoringParams):
        pass
else:
    _WithSettings = create_model(
        "_WithSettings",
        __base__=(TrainingParams, PairScoringParams),
        **{name: _as_param(settings) for name, settings in _SETTINGS.items()},
    )


class Params(_WithSettings):
    """What to train towards, and how."""

    SETTINGS: ClassVar[frozenset[str]] = frozenset(_SETTINGS)
    """The params that an objective may have or lack."""

    objective: Annotated[str, Names(OBJECTIVES)] = Field(
        "dpo", description="Loss: a file of `jobs/training/objectives/`."
    )
    steps: int | None = Field(None, ge=1, description="Optimizer steps; null: by epochs.")
    epochs: float | None = Field(
        None, gt=0, description="Passes over the training pairs; 1 when steps are null too."
    )
    lora: Lora | None = Field(
        None, description="Train an adapter beside the frozen model. Null: train all weights."
    )
    early_stopping: EarlyStopping | None = Field(
        None,
        description="Stop when the validation loss stops falling; the model has the weights of "
        "its lowest. Null: the last step's.",
    )
    snapshots: Snapshots | None = added(
        None,
        "Keep the model on the way, too: after these steps, or once it has moved so far. Each is a "
        "model of kind `snapshot`. Null: none.",
    )
    validate_every: int | None = execution(
        None, "Steps between validations; the end is always validated.", ge=1
    )
    engine: Annotated[str | None, Names(ENGINES)] = execution(
        None, "What trains: a file of `jobs/training/engines/`. Null: chosen by what fits, or ddp."
    )
    num_gpus: int | None = execution(
        None,
        "GPUs of all ranks together; 0 computes on the processor. Null: as many of the GPUs at "
        "hand as are needed; none where there are none.",
        ge=0,
    )
    num_ranks: int | None = execution(
        None, "Processes that train together. Null: one per GPU, or one.", ge=1
    )
    num_nodes: int | None = execution(
        None, "Nodes that the ranks are spread over. Null: as few as hold them.", ge=1
    )
    micro_batch: int | None = execution(
        None,
        "Pairs per forward pass of a rank; the rest of the global batch is accumulated. Null: "
        "chosen by what fits, or the rank's share of the global batch.",
        ge=1,
    )
    activation_checkpointing: bool | None = execution(
        None, "Compute activations again in the backward pass, to save memory. Null: where needed."
    )
    offload: bool | None = execution(
        None, "Keep optimizer state in host memory, to save a GPU's. Null: where needed."
    )

    @model_validator(mode="after")
    def _check(self) -> Params:
        self.settings()
        self._check_whole_batch()
        self._check_layout()
        if self.steps is not None and self.epochs is not None:
            raise UserError("give steps or epochs, not both", where="steps")
        self._check_snapshots()
        return self

    def _check_snapshots(self) -> None:
        if self.snapshots is None or self.steps is None:
            return
        beyond = [step for step in self.snapshots.steps or () if step > self.steps]
        if beyond:
            raise UserError(
                f"snapshot at step {beyond[0]}, and training ends after {self.steps}",
                where="snapshots.steps",
                allowed=[f"1 to {self.steps}"],
            )

    def _check_whole_batch(self) -> None:
        if not OBJECTIVES.find(self.objective).WHOLE_BATCH:
            return
        for name, value, allowed in (
            ("micro_batch", self.micro_batch, self.global_batch),
            ("num_ranks", self.num_ranks, 1),
            ("num_gpus", self.num_gpus if (self.num_gpus or 0) > 1 else None, 1),
        ):
            if value not in (None, allowed):
                raise UserError(
                    f"objective {self.objective!r} sorts the pairs of a forward pass: it needs the "
                    f"global batch of {self.global_batch} in one, not {value} {_SPLIT[name]}",
                    where=name,
                    allowed=[str(allowed)],
                )

    def _check_layout(self) -> None:
        """Require that what is given of the layout agrees with itself and the global batch."""
        layout, whole = self.layout(), self.global_batch
        self._check_engine()
        if layout.num_gpus not in (0, layout.num_ranks):
            raise UserError(
                f"{layout.num_gpus} GPUs for {layout.num_ranks} ranks: each rank has one",
                where="num_gpus",
                allowed=["0", str(layout.num_ranks)],
            )
        if whole % layout.num_ranks:
            raise UserError(
                f"{layout.num_ranks} ranks do not divide global_batch {whole}",
                where="num_gpus" if self.num_ranks is None else "num_ranks",
                allowed=map(str, divisors(whole)),
            )
        if layout.num_ranks % layout.num_nodes:
            raise UserError(
                f"{layout.num_ranks} ranks cannot lie evenly on {layout.num_nodes} nodes",
                where="num_nodes",
            )
        share = whole // layout.num_ranks
        if share % layout.micro_batch:
            raise UserError(
                f"micro_batch {layout.micro_batch} does not divide the {share} pairs that each of "
                f"{layout.num_ranks} ranks has of global_batch {whole}",
                where="micro_batch",
                allowed=map(str, divisors(share)),
            )

    def _check_engine(self) -> None:
        if self.lora is not None and self.lora.quantised is not None:
            self._check_quantised()
        if self.engine is None:
            return
        engine = ENGINES.find(self.engine, where="engine")
        if engine.NEEDS_GPU and self.num_gpus == 0:
            raise UserError(f"engine {self.engine!r} needs GPUs, not num_gpus 0", where="engine")
        if self.offload and not engine.CAN_OFFLOAD:
            able = [name for name in ENGINES.names() if ENGINES.find(name).CAN_OFFLOAD]
            raise UserError(f"engine {self.engine!r} cannot offload", where="offload", allowed=able)
        if self.early_stopping is not None and not engine.CAN_KEEP_BEST:
            raise UserError(
                f"engine {self.engine!r} cannot keep the best weights aside, which "
                "early_stopping needs",
                where="engine",
                allowed=[name for name in ENGINES.names() if ENGINES.find(name).CAN_KEEP_BEST],
            )

    def _check_quantised(self) -> None:
        """Require an engine that leaves weights in one piece: 4-bit blocks cannot be cut."""
        if self.num_gpus == 0:
            raise UserError("a quantised base needs a GPU, not num_gpus 0", where="num_gpus")
        cutting = {name for name in ENGINES.names() if Held.WEIGHTS in ENGINES.find(name).SHARDED}
        if self.engine in cutting:
            raise UserError(
                f"engine {self.engine!r} cuts weights into pieces, which a quantised base "
                "does not survive",
                where="engine",
                allowed=[name for name in ENGINES.names() if name not in cutting],
            )

    def layout(self) -> Layout:
        """Return how the run lies on its machines; by default: ddp, a rank per GPU."""
        num_ranks = self.num_ranks or self.num_gpus or 1
        return Layout(
            engine=self.engine or "ddp",
            num_ranks=num_ranks,
            num_nodes=self.num_nodes or 1,
            num_gpus=self.num_gpus or 0,
            micro_batch=self.micro_batch or max(1, self.global_batch // num_ranks),
            activation_checkpointing=bool(self.activation_checkpointing),
            offload=bool(self.offload),
        )

    def resources(self) -> Resources:
        """Return what a job with this layout needs."""
        layout = self.layout()
        return Resources(
            num_cpus=self.num_cpus,
            num_gpus=layout.num_gpus // layout.num_ranks,
            memory_gb=self.memory_gb,
            num_ranks=layout.num_ranks,
            num_nodes=layout.num_nodes,
        )

    @model_serializer(mode="wrap")
    def _write_out(self, plainly: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Dump the settings that the objective has, `added` ones only once they are set."""
        written = plainly(self)
        declared = OBJECTIVES.find(self.objective, where="objective").SETTINGS
        settings = {
            name: value
            for name, value in self.settings().items()
            if not (declared[name].added and value == declared[name].default)
        }
        return {name: written[name] for name in written if name not in self.SETTINGS} | settings

    def settings(self) -> dict[str, float]:
        """Return the hyper-parameters of the objective, defaults written out."""
        objective = OBJECTIVES.find(self.objective, where="objective")
        return objective.settings_from(
            {name: getattr(self, name) for name in sorted(self.SETTINGS)}
        )


def params_with_own_settings() -> type[Params]:
    """Return the params, with one for every setting of the objectives that a study brings along."""
    return _with_own_settings(brought_now())


@cache
def _with_own_settings(brought: Hashable) -> type[Params]:
    own = sorted(set(OBJECTIVES.names()) - set(OBJECTIVES.package_names()))
    loaded = [name for name in own if OBJECTIVES.get(name) is not None]
    settings = {
        name: declared
        for name, declared in _settings_by_objective(loaded).items()
        if name not in Params.SETTINGS
    }
    if not settings:
        return Params
    for name, declared in settings.items():
        if name in Params.model_fields or not name.isidentifier():
            raise UserError(
                f"a setting cannot be called {name!r}: kind `align` has a param of that name",
                where=f"SETTINGS of objective {next(iter(declared))}",
            )
        if len({(one.description, one.below) for one in declared.values()}) > 1:
            raise UserError(
                f"the setting {name!r} has another description or limit in each objective",
                where=f"SETTINGS of {' and '.join(declared)}",
            )
    fields: dict[str, Any] = {name: _as_param(declared) for name, declared in settings.items()}
    extended = create_model("Params", __base__=Params, **fields)
    extended.SETTINGS = Params.SETTINGS | settings.keys()
    return extended


_SPLIT = {"micro_batch": "at a time", "num_ranks": "ranks", "num_gpus": "GPUs"}
