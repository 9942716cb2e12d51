"""Kind `pretrained`: a published or local model as it is, copied into the root and checked.

Reads safetensors headers only, so it needs no torch. Never takes a pickle or a file of code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.errors import UserError
from cluster.machine.resources import Resources
from jobs.kind import Kind, Params, execution, model_source
from jobs.models.checkpoint_files import DESCRIPTIONS, INDEX, WEIGHTS
from jobs.models.family import family_of_config
from jobs.models.folder import check_model_folder, model_files, unwrap_weights
from jobs.models.foreign_layouts import no_safetensors
from jobs.models.loading import describe_model
from jobs.models.model_source import ModelSource, SourceFiles
from jobs.models.shape import read_shape
from jobs.provenance import Model
from jobs.worker.work import Work


class PretrainedParams(Params):
    """What to take, and what it is expected to be."""

    source: str = model_source(
        ..., "The model: `hf://org/name`, or a folder in the hub's layout.", min_length=1
    )
    revision: str | None = execution(
        None, "Branch, tag or commit on the hub; the commit it stands for at launch is pinned."
    )
    config: dict[str, Any] | None = execution(
        None, "Fields such as family, num_layers, d_model, to plan by; checked against the model."
    )


def _files(folder: Path, where: str) -> list[str]:
    """List the files of a whole checkpoint. Raises UserError when it is none."""
    check_model_folder(folder, where)
    return model_files(folder, where)


_LAYOUT = SourceFiles(
    wanted=(WEIGHTS, "model-*.safetensors", INDEX, *DESCRIPTIONS),
    check=_files,
    weights=(WEIGHTS, INDEX),
    absent=no_safetensors,
)


class Pretrained(Kind[PretrainedParams]):
    """Takes a model as it is."""

    VERSION = 1
    INPUTS = {}
    Params = PretrainedParams
    LEAVES = Model.PUBLISHED
    USES_TORCH = False

    def source(self, params: PretrainedParams) -> ModelSource:
        """Return where the model comes from."""
        return ModelSource(name=params.source, revision=params.revision, layout=_LAYOUT)

    def pins(self, params: PretrainedParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Check `config`; return the commit on the hub, or the digest of a folder's files."""
        if params.config is not None:
            family_of_config(params.config).num_parameters(params.config)
        return super().pins(params, known)

    def resources(self, params: PretrainedParams) -> Resources:
        """Return one core: it copies files."""
        return Resources(num_cpus=1, memory_gb=1)

    def run(self, work: Work[PretrainedParams]) -> dict[str, object]:
        """Put the model's files into `model/`, check them, and return what they are.

        Weights that a wrapper renamed get the names of their family.
        """
        params = work.params
        commit = self.source(params).take(work.folder / "model", work)
        wrapping = unwrap_weights(work.folder / "model", params.source)
        config = check_model_folder(work.folder / "model", params.source)
        _check_expected(params, config)
        facts: dict[str, object] = {
            "model": describe_model(config),
            "source": params.source,
            "revision": commit,
        }
        return facts if wrapping is None else {**facts, "names_without": wrapping}


def _check_expected(params: PretrainedParams, config: Mapping[str, Any]) -> None:
    if params.config is None:
        return
    described = describe_model(config)
    shape = read_shape(family_of_config(config).FIELDS, config)
    wrong = []
    for name, expected in params.config.items():
        actual = described["family"] if name == "family" else getattr(shape, name, None)
        if actual != expected:
            wrong.append(f"{name} is {actual}, not {expected}")
    if wrong:
        raise UserError(
            f"the model is not what the study's config says: {'; '.join(wrong)}",
            where=params.source,
            hint="correct `config` in the study; plans and tables go by it",
        )
