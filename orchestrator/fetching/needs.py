"""`Need`: a repository of the hub that jobs of a study read, and which of its files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from cluster.errors import SurroundingsError, UserError
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.hub.client import DEFAULT_REVISION, cached, is_commit, is_on_hub, note_place
from jobs.hub.repository import Repository, hub_data, is_hub_data
from jobs.hub.shelf import Shelf, has_shelves
from jobs.kind import KINDS
from jobs.models.model_source import ModelSource
from jobs.params import marked
from jobs.text.data_file import SUFFIXES
from jobs.text.hub_data import as_on_hub, chosen_files

_WEIGHTS = (".safetensors", ".gguf")


@dataclass(frozen=True, kw_only=True)
class Need:
    """Files of one repository at one revision."""

    source: str
    """As the study names it."""
    repository: Repository
    """The repository."""
    revision: str | None
    """Branch, tag or commit; None for the hub's own choice."""
    known_name: str
    """The name under which a root remembers its commit."""
    model: ModelSource | None = field(default=None, repr=False)
    """The model or adapter; None for data."""

    def choose(self, names: Sequence[str]) -> list[str]:
        """Choose the files to take from those of the repository."""
        if self.model is not None:
            return self.model.layout.choose(names)
        return chosen_files(hub_data(self.source), names)

    def require_files(self, names: Sequence[str]) -> list[str]:
        """Choose as `choose`. Raises UserError where nothing there can be read."""
        chosen = self.choose(names)
        if self.model is not None:
            if not set(self.model.layout.weights).intersection(chosen):
                raise self.model.layout.absent(names, self.source)
        elif not chosen:
            raise UserError(
                "it has no such file, and no folder of that name with files of rows or text",
                where=self.source,
                allowed=SUFFIXES,
                code="data-missing",
            )
        return chosen

    def commit(self, revisions: Mapping[str, str]) -> str | None:
        """Return its commit, as it is written or as a root knows it; None where neither is."""
        return self.revision if is_commit(self.revision) else revisions.get(self.known_name)

    def shelf(self, root: Storage, revisions: Mapping[str, str]) -> Shelf | None:
        """Return where it lies, or will lie, in a root; None while its commit is not known."""
        commit = self.commit(revisions)
        return None if commit is None else Shelf(root, self.repository, commit)

    def is_fetched(self, root: Storage, revisions: Mapping[str, str]) -> bool:
        """Tell whether all its files are in a root."""
        shelf = self.shelf(root, revisions)
        return shelf is not None and bool(shelf.find(self.choose))


def needs_of(root: Storage, jobs: Iterable[Job]) -> list[Need]:
    """Return what jobs need of the hub, each once, in the order of the jobs."""
    needs: dict[tuple[str, str], Need] = {}
    for job in jobs:
        for need in _needs_of(root, job):
            needs.setdefault((need.source, need.known_name), need)
    return list(needs.values())


def note_places(root: Storage, jobs: Iterable[Job], revisions: Mapping[str, str]) -> None:
    """Let planning find configs and tokenizers of models that `fetch` took into the root.

    Of a remote root they are copied here; a damaged one is passed over, as one that is not here.
    """
    if not has_shelves(root):
        return
    for need in needs_of(root, jobs):
        shelf = need.shelf(root, revisions)
        names = shelf.find(need.choose) if need.model is not None and shelf is not None else None
        if names and shelf is not None and need.model is not None:
            is_file = need.model.file is not None and root.is_local
            small = [name for name in names if is_file or not name.endswith(_WEIGHTS)]
            with suppress(SurroundingsError):
                note_place(need.model.name, need.revision, shelf.place(small))


def damaged_copies(
    root: Storage, jobs: Iterable[Job], revisions: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield name and fault of what `fetch` brought for jobs and is not as it came."""
    shelves = {need.shelf(root, revisions) for need in needs_of(root, jobs)}
    for shelf in sorted(filter(None, shelves), key=str):
        yield from shelf.damaged()


def _needs_of(root: Storage, job: Job) -> Iterator[Need]:
    kind = KINDS.find(job.kind)
    params = job.params_as(kind.Params)
    model = kind.source(params)
    if model is not None and is_on_hub(model.name):
        yield Need(
            source=model.name if model.file is None else f"{model.name}/{model.file}",
            repository=Repository.of_model(model.name),
            revision=model.revision,
            known_name=model.known_name,
            model=model,
        )
    paths = {name: job.params.get(name) for name in marked(kind.Params, "path")}
    # Data that are in the root already are paths by now.
    for value in as_on_hub(paths, root).values():
        for source in value if isinstance(value, list) else (value,):
            if isinstance(source, str) and is_hub_data(source):
                data = hub_data(source)
                yield Need(
                    source=source,
                    repository=data.repository,
                    revision=data.revision,
                    known_name=data.known_name,
                )


def require_fetched(
    root: Storage, jobs: Sequence[Job], revisions: Mapping[str, str], study: str
) -> None:
    """Check that all is here that jobs need of the hub: in the root, or in the hub's own cache.

    Raises:
        UserError: something is not; one message names all of it, and the command.
    """
    missing = [
        f"{need.source} at {need.revision or DEFAULT_REVISION}"
        for need in needs_of(root, jobs)
        if not need.is_fetched(root, revisions) and not _is_cached(need, revisions)
    ]
    if missing:
        raise UserError(
            f"not in the root: {', '.join(missing)}",
            where=root.url,
            hint=f"`deltascale fetch {study} --root {root.url}` takes it there, on a machine with "
            "internet; with HF_HUB_OFFLINE=0 in the environment, jobs ask the hub themselves",
            code="data-missing",
        )


def _is_cached(need: Need, revisions: Mapping[str, str]) -> bool:
    commit = need.commit(revisions)
    if commit is None or need.model is None:
        return False
    folder = cached(need.model.name, commit, need.model.layout.wanted)
    return folder is not None and any(
        (folder / name).exists() for name in need.model.layout.weights
    )
