"""Kind `pretrained`: a published or local model as it is, copied into the root and checked.

Reads safetensors headers only, so it needs no torch, except to unpack a `.gguf` file. Never takes a
pickle or a file of code.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.disk.written_path import expanded
from cluster.errors import UserError
from cluster.machine.resources import Resources
from jobs.hub.client import is_on_hub
from jobs.kind import Kind, Params, Upstream, added, execution, model_source
from jobs.models.adapter_folder import CONFIG
from jobs.models.checkpoint_files import DESCRIPTIONS, INDEX, WEIGHTS
from jobs.models.family import FAMILIES, family_of_config, name_of_family
from jobs.models.folder import check_model_folder, model_files, unwrap_weights
from jobs.models.foreign_layouts import no_safetensors
from jobs.models.gguf.checkpoint import (
    ENDING,
    gguf_layout,
    write_checkpoint,
    write_tokenizer,
)
from jobs.models.gguf.header import read_header
from jobs.models.loading import describe_model
from jobs.models.model_facts import DEQUANTISED, STORED
from jobs.models.model_source import ModelSource, SourceFiles
from jobs.models.shape import read_shape
from jobs.models.text_ends import note_on_ends
from jobs.provenance import Model
from jobs.rehearsal import StandIns
from jobs.worker.work import Work


class PretrainedParams(Params):
    """What to take, and what it is expected to be."""

    source: str = model_source(
        ...,
        "The model: `hf://org/name`, a folder in the hub's layout, or a `.gguf` file.",
        min_length=1,
    )
    gguf_file: str | None = added(
        None, "The `.gguf` file to take of a repository on the hub, by name.", min_length=1
    )
    revision: str | None = execution(
        None, "Branch, tag or commit on the hub; the commit it stands for at launch is pinned."
    )
    config: dict[str, Any] | None = execution(
        None, "Fields such as family, num_layers, d_model, to plan by; checked against the model."
    )


def _family(params: PretrainedParams) -> str | None:
    """Return the family that `config`, or the config.json of a folder, names; None: none does."""
    named: Any = (params.config or {}).get("family")
    if named is None and not is_on_hub(params.source):
        with suppress(OSError, ValueError, TypeError, AttributeError):
            config = json.loads((Path(params.source) / "config.json").read_bytes())
            named = name_of_family(config)
    return named if isinstance(named, str) else None


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


_UNPACKING = 6
"""Bytes of memory per parameter while a `.gguf` file becomes a checkpoint; 0.81 GB beside the
libraries' 0.4 were measured for 0.135 B."""


class Pretrained(Kind[PretrainedParams]):
    """Takes a model as it is."""

    # 2: the ids that whatever reads the model makes of a text in several segments.
    VERSION = 2
    INPUTS = {}
    Params = PretrainedParams
    LEAVES = Model.PUBLISHED
    USES_TORCH = False

    def source(self, params: PretrainedParams) -> ModelSource:
        """Return where the model comes from."""
        file = params.gguf_file
        if file is None and not is_on_hub(params.source) and params.source.endswith(ENDING):
            file = Path(params.source).name
        layout = _LAYOUT if file is None else gguf_layout(file)
        return ModelSource(name=params.source, revision=params.revision, layout=layout, file=file)

    def entries(self, params: PretrainedParams) -> Iterator[tuple[str, str]]:
        """Yield the model's family, as `config` or the folder's own config.json says."""
        family = _family(params)
        if family is not None:
            yield FAMILIES.package, family

    def packages(self, params: PretrainedParams) -> frozenset[str]:
        """Return all families, where nobody knows yet which one a model of the hub is of."""
        is_open = _family(params) is None and is_on_hub(params.source)
        return frozenset({FAMILIES.package}) if is_open else frozenset()

    def pins(self, params: PretrainedParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Check `config`; return the commit on the hub, or the digest of a folder's files."""
        if params.gguf_file is not None and not is_on_hub(params.source):
            folder = params.source.removesuffix(params.gguf_file).rstrip("/")
            raise UserError(
                "gguf_file is of a repository on the hub, and the source is on this machine",
                where="gguf_file",
                hint=f"leave it out, and write source: {folder}/{params.gguf_file}",
            )
        if params.config is not None:
            family_of_config(params.config).num_parameters(params.config)
        return super().pins(params, known)

    def notes(self, params: PretrainedParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say where an adapter lies beside the weights, texts end otherwise, no tokenizer loads.

        So of a `.gguf` file in the hub's cache, whatever is wrong with it.
        """
        from jobs.tokens.planned_tokenizer import fault_of_tokenizer, place_of

        source = self.source(params)
        notes = []
        folder = place_of(source) if source.file is None else None
        if folder is not None and (folder / CONFIG).is_file():
            notes.append(
                f"{params.source}: an adapter ({CONFIG}) lies beside the weights, which are taken "
                "as they are, without it; if they are its base, take it with kind `adapter`"
            )
        if folder is not None:
            notes += [f"{params.source}: {note}" for note in note_on_ends(folder)]
        if (fault := fault_of_tokenizer(source)) is not None:
            refused = "jobs that read texts with it" if source.file is None else "it"
            notes.append(f"{params.source}: {fault.error}; {refused} will be refused")
        return tuple(notes)

    def resources(self, params: PretrainedParams) -> Resources:
        """Return one core: it copies files, or unpacks one in memory."""
        unpacked = 0 if self.source(params).file is None else _num_parameters(params)
        return Resources(num_cpus=1, memory_gb=1 + math.ceil(unpacked * _UNPACKING / 1e9))

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Take a tiny model of the same architecture."""
        source, file, config = (written.get(name) for name in ("source", "gguf_file", "config"))
        if not isinstance(source, str) or not source:
            return dict(written)
        if isinstance(config, Mapping):
            family_of_config(config).num_parameters(config)
        revision = written.get("revision")
        folder, real = stand_ins.model(source, revision, file, config)
        if not is_on_hub(source) and os.path.exists(source):
            self.pins(self.Params(**written), {})  # whole, as a launch would require
        if real is not None:
            _check_expected(self.Params(**written), real)
        described = {"revision": None, "gguf_file": None, "config": None}  # by its own config.json
        return {**written, "source": folder, **(described if folder != source else {})}

    def run(self, work: Work[PretrainedParams]) -> dict[str, object]:
        """Put the model's files into `model/`, check them, and return what they are.

        Weights that a wrapper renamed get the names of their family.
        """
        params, source = work.params, self.source(work.params)
        if source.file is not None:
            return _unpack(source, work)
        commit = source.take(work.folder / "model", work)
        wrapping = unwrap_weights(work.folder / "model", params.source)
        config = check_model_folder(work.folder / "model", params.source)
        _check_expected(params, config)
        facts: dict[str, object] = {
            "model": describe_model(config),
            "source": params.source,
            "revision": commit,
        }
        return facts if wrapping is None else {**facts, "names_without": wrapping}


def _unpack(source: ModelSource, work: Work[PretrainedParams]) -> dict[str, object]:
    """Make a checkpoint in `model/` of a `.gguf` file, weights unpacked; return what it is."""
    assert source.file is not None
    folder, commit = source.locate(work)
    path, target = folder / source.file, work.folder / "model"
    work.progress(None, f"unpacking {source.file}")
    write_checkpoint(path, target, source.name)
    write_tokenizer(path, target, source.name)
    if commit is None:
        source.require_planned(folder, [source.file], work)
    config = check_model_folder(target, source.name)
    _check_expected(work.params, config)
    return {
        "model": describe_model(config),
        "source": work.params.source,
        "revision": commit,
        "gguf_file": source.file,
        **{name: config[name] for name in (STORED, DEQUANTISED)},
    }


def _num_parameters(params: PretrainedParams) -> int:
    """Return the parameters of a `.gguf` file, by the study's config or the file; 0 if unknown."""
    if params.config is not None:
        return family_of_config(params.config).num_parameters(params.config)[0]
    path = expanded(params.source)
    if is_on_hub(params.source) or not path.is_file():
        return 0
    return sum(tensor.size for tensor in read_header(path, params.source).tensors.values())


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
