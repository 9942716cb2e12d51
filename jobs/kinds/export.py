"""Kind `export`: a model in the dtype that others want it in, with a card, and pushed to the hub.

Training leaves fp32, because 16 bits round most of a small update away: how much, its card says.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field, model_validator

from cluster.errors import UserError
from jobs.hub.client import repository
from jobs.kind import Kind, execution
from jobs.kinds._shared_inputs import WEIGHTS
from jobs.models.model_facts import Dtype
from jobs.provenance import Model
from jobs.rehearsal import StandIns
from jobs.shared_params import ComputeParams
from jobs.worker.work import Work


class ExportParams(ComputeParams):
    """In which dtype, and where to."""

    dtype: Dtype = Field(..., description="Of the weights that are written.")
    push_to: str | None = Field(
        None,
        description="`organisation/name` on the hub, made where it does not exist; null: nowhere. "
        "Whoever runs the job must be logged in (`hf auth login` or HF_TOKEN).",
    )
    private: bool = Field(True, description="Only its owners see a repository that is made.")
    memory_gb: float = execution(
        0, "Host memory to set aside, in 10^9 bytes: 10 hold a file of weights; 0: none.", ge=0
    )

    @model_validator(mode="after")
    def _check(self) -> "ExportParams":
        if self.push_to is not None and (
            self.push_to.count("/") != 1 or repository(self.push_to) != self.push_to
        ):
            raise UserError(
                f"{self.push_to!r} names no repository of somebody's on the hub",
                where="push_to",
                allowed=["organisation/name"],
            )
        return self


class Export(Kind[ExportParams]):
    """Writes a model in another dtype, and beside its base measures what rounding took."""

    # 2: settings under the names of transformers 4, too.
    VERSION = 2
    INPUTS = {"model": WEIGHTS, "base": replace(WEIGHTS, dispensable=True)}
    Params = ExportParams
    LEAVES = Model.SAME
    USES_TORCH = True

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Write it, and push it nowhere."""
        if written.get("push_to") is not None:
            stand_ins.replaced("push_to: nothing is pushed to the hub")
        return {**super().in_small(written, stand_ins), "push_to": None}

    def pushes(self, params: ExportParams) -> bool:
        """Tell whether it has a repository to push to."""
        return params.push_to is not None

    def run(self, work: Work[ExportParams]) -> dict[str, object]:
        """Write `model/`, and push it where that is asked for."""
        from dataclasses import asdict

        from jobs.hub.client import push
        from jobs.models.export import export_checkpoint, measure_rounding
        from jobs.models.folder import read_config
        from jobs.models.loading import describe_model
        from jobs.models.opened_model import model_folder
        from jobs.training.model_card import base_on_hub, write_export_card

        params = work.params
        folder, target = model_folder(work.input("model")), work.folder / "model"
        work.progress(None, f"writing it in {params.dtype}")
        export_checkpoint(folder, params.dtype, target)
        rounding = None
        if work.has("base"):
            work.progress(None, "measuring what rounding took")
            base = model_folder(work.input("base"))
            rounding = asdict(measure_rounding(base, folder, params.dtype))
        facts: dict[str, object] = {
            "model": describe_model(read_config(target)),
            "base_model": base_on_hub(work),
            "dtype": params.dtype,
            "rounding": rounding,
        }
        write_export_card(work, facts)
        if params.push_to is not None:
            work.progress(None, f"pushing it to {params.push_to}")
            commit = push(target, params.push_to, private=params.private)
            facts["pushed"] = {"repository": params.push_to, "commit": commit}
        return facts
