"""Kind `adapter`: a published or local LoRA adapter on its base, and the two merged to one model.

`adapter/` holds its files, `model/` the base with it added in fp32: who only wants the aligned
model needs to know nothing of adapters. Never takes a pickle or a file of code.
"""

import re
from collections.abc import Mapping, Sequence

from jobs.hub.client import is_on_hub
from jobs.kind import Kind, Upstream, execution, model_source
from jobs.kinds._shared_inputs import WEIGHTS
from jobs.models import adapter_folder
from jobs.models.checkpoint_files import TOKENIZER_FILES
from jobs.models.folder import read_json_object
from jobs.models.model_source import ModelSource, SourceFiles
from jobs.provenance import Model
from jobs.shared_params import ComputeParams
from jobs.tokens.planned_tokenizer import place_of
from jobs.worker.work import Work

_LAYOUT = SourceFiles(
    wanted=(adapter_folder.CONFIG, adapter_folder.WEIGHTS, *TOKENIZER_FILES),
    check=adapter_folder.check_trained_adapter,
    weights=(adapter_folder.WEIGHTS,),
    absent=adapter_folder.no_adapter_weights,
)


_BASE = "base_model_name_or_path"
_MODEL = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?", re.ASCII)
"""A model on the hub, as an adapter's config names it; it may name a folder, too."""


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].lower()


class AdapterParams(ComputeParams):
    """Which adapter to take."""

    source: str = model_source(
        ..., "The adapter: `hf://org/name`, or a folder that peft saved.", min_length=1
    )
    revision: str | None = execution(
        None, "Branch, tag or commit on the hub; the commit it stands for at launch is pinned."
    )
    memory_gb: float = execution(
        0, "Host memory to set aside, in 10^9 bytes: 4 per parameter hold the base; 0: none.", ge=0
    )


class Adapter(Kind[AdapterParams]):
    """Takes an adapter and merges it into its base."""

    VERSION = 1
    INPUTS = {"base": WEIGHTS}
    Params = AdapterParams
    LEAVES = Model.ALIGNED
    USES_TORCH = True
    NOT_REHEARSED = "a released adapter fits its own base alone, not a stand-in"

    def source(self, params: AdapterParams) -> ModelSource:
        """Return where the adapter comes from."""
        return ModelSource(name=params.source, revision=params.revision, layout=_LAYOUT)

    def notes(self, params: AdapterParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Say where the adapter's own config names another base, if it is on this machine.

        Of two names on the hub alone: a copy in a folder may be called anything.
        """
        folder = place_of(self.source(params))
        base = inputs["base"].params.get("source")
        is_here = folder is not None and (folder / adapter_folder.CONFIG).is_file()
        if folder is None or not is_here or not isinstance(base, str):
            return ()
        named = read_json_object(folder / adapter_folder.CONFIG, str(folder)).get(_BASE)
        if not isinstance(named, str) or not is_on_hub(base) or not _MODEL.fullmatch(named):
            return ()
        if _last(named) == _last(base):
            return ()
        return (
            f"the adapter was trained on {named} ({_BASE} in {adapter_folder.CONFIG}) and is put "
            f"on {base}: if that is another model, it is another change",
        )

    def run(self, work: Work[AdapterParams]) -> dict[str, object]:
        """Copy the adapter to `adapter/`, write `model/`, and return what both are."""
        from jobs.models.adapters import merge_adapter
        from jobs.models.loading import describe_model
        from jobs.models.opened_model import model_folder

        folder = work.folder / "adapter"
        commit = self.source(work.params).take(folder, work)
        work.progress(None, "merging it into its base")
        config = merge_adapter(model_folder(work.input("base")), folder, work.folder / "model")
        return {
            "model": describe_model(config),
            "source": work.params.source,
            "revision": commit,
            "adapter": adapter_folder.adapter_facts(folder),
        }
