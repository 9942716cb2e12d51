"""Asks the Hugging Face hub about models, and pushes them. Tokens stay with huggingface_hub.

Without a network the local cache answers, as far as it goes.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from cluster.machine.way_out import unusable_way_out

SCHEME = "hf://"
DEFAULT_REVISION = "main"

_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FORBIDDEN = (401, 403)
"""Refusals of the hub that another login may mend."""
_LATER = (408, 429)
"""Refusals of the hub that do not last: too slow, too many."""
_SEEN_ELSEWHERE = (
    "on a machine with internet `deltascale fetch STUDY` takes it into the root; or use a folder "
    "as source, or point HF_HOME at a cache that holds the model"
)

_places: dict[tuple[str, str], Path] = {}
"""Source and revision -> folder in a root, as far as this process planned with it."""
_GOES_ON = "the same command goes on where this one ended"


def is_on_hub(source: str) -> bool:
    """Tell `hf://org/name` from a folder."""
    return source.startswith(SCHEME)


def is_commit(revision: str | None) -> bool:
    """Tell whether a revision is a full commit hash, which needs no resolving."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def repository(source: str) -> str:
    """Return the `org/name` in `hf://org/name`. Raises UserError when it is not one."""
    name = source.removeprefix(SCHEME)
    if not _REPOSITORY.fullmatch(name):
        raise UserError(
            f"{source!r} names no model on the hub",
            allowed=["hf://organisation/name"],
            hint="a revision goes into the param `revision`",
        )
    return name


def commit_of(source: str, revision: str | None) -> str:
    """Resolve a revision of a model to its commit now, or when the cache last saw it.

    Raises:
        UserError: no such model or revision, or it is gated.
        SurroundingsError: the hub cannot be reached and the cache does not hold the revision.
    """
    from huggingface_hub import HfApi

    with hub_faults(source, revision):
        return HfApi().resolve_revision(repository(source), revision=revision).resolved


def download(source: str, commit: str, wanted: Sequence[str]) -> Path:
    """Download the files of these patterns at a commit; return their local folder.

    Raises:
        UserError: no such repository or commit.
        SurroundingsError: the hub cannot be reached and the cache is not complete.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    with hub_faults(source, commit), disable_progress_bars():
        name = repository(source)
        return Path(snapshot_download(name, revision=commit, allow_patterns=list(wanted)))


def note_place(source: str, revision: str | None, folder: Path) -> None:
    """Let `cached` know a folder that holds config and tokenizer of a model: a root does."""
    _places[source, revision or DEFAULT_REVISION] = folder


def cached(source: str, revision: str | None, wanted: Sequence[str]) -> Path | None:
    """Return the folder of a revision in a root or in the cache; None: in neither. Asks no network.

    What lies in a root may lack the weights.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    place = _places.get((source, revision or DEFAULT_REVISION))
    if place is not None and place.is_dir():
        return place
    try:
        return Path(
            snapshot_download(
                repository(source),
                revision=revision,
                allow_patterns=list(wanted),
                local_files_only=True,
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError):
        return None


def list_files(source: str, commit: str, folder: Path) -> list[str]:
    """List the files of a repository at a commit, as far as the cache knows, downloaded or not."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return [file.path for file in get_cached_repo_tree(repository(source), revision=commit)]
    except CachedRepoTreeNotFoundError:
        return [path.name for path in folder.iterdir()]


def push(folder: Path, name: str, *, private: bool) -> str:
    """Upload the files of a folder to a repository, as one commit; return the commit.

    Args:
        folder: the files.
        name: `organisation/name`; created where it does not exist.
        private: whether a new repository is private; an existing one stays as it is.

    Raises:
        UserError: the hub refuses: nobody is logged in, or may not write there.
        SurroundingsError: the hub cannot be reached, or fails.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    with _push_faults(name), disable_progress_bars():
        api = HfApi()
        api.create_repo(name, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=name, folder_path=folder, commit_message="Upload with deltascale"
        )
    return str(done.oid)


@contextlib.contextmanager
def _push_faults(name: str) -> Iterator[None]:
    """Raise refusals of the hub as UserError, and every other fault as SurroundingsError."""
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise _not_allowed(name, "nobody is logged in") from error
    except Exception as error:  # refusals, timeouts, proxies, 5xx
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        if status is not None and 400 <= status < 500 and status not in _LATER:
            raise _not_allowed(name, reason) from error
        if (why := unusable_settings()) is not None:
            raise UserError(why, where=f"environment; {name} is pushed to the hub") from error
        raise SurroundingsError(f"the model cannot be pushed ({reason})", where=name) from error


def _not_allowed(name: str, why: str) -> UserError:
    return UserError(
        f"the hub does not take the model: {why}",
        where=f"push_to {name}",
        hint="log in with `hf auth login` or set HF_TOKEN, as somebody who may write there",
        fault_class=FaultClass.PERMISSION,
    )


def unusable_settings() -> str | None:
    """Say which variable keeps every request from the hub; None where none does by itself."""
    endpoint = os.environ.get("HF_ENDPOINT", "")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        return f"HF_ENDPOINT is {endpoint!r}, which is no address: https://{endpoint}"
    return unusable_way_out()


@contextlib.contextmanager
def hub_faults(source: str, revision: str | None, *, has_cache: bool = True) -> Iterator[None]:
    """Raise answers of the hub as UserError, and every other fault as SurroundingsError.

    Args:
        source: the repository, for messages.
        revision: its revision.
        has_cache: whether the cache would have answered, too.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"{source} at {revision or DEFAULT_REVISION}"
    try:
        yield
    except (UserError, SurroundingsError):
        raise
    except RevisionNotFoundError as error:
        raise UserError(f"{source} has no revision {revision!r}", where=where) from error
    except GatedRepoError as error:
        raise UserError(
            f"{source} is gated",
            where=where,
            hint="accept its terms on the hub, then log in with `hf auth login` or set HF_TOKEN",
            fault_class=FaultClass.PERMISSION,
            code="gated",
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"{source} does not exist on the hub, or is private",
            where=where,
            hint="a private model needs `hf auth login` or HF_TOKEN",
        ) from error
    except RemoteEntryNotFoundError as error:
        raise UserError(f"{source} does not hold a file that it lists", where=where) from error
    except Exception as error:  # timeouts, proxies, 5xx, no cache: one sentence instead of many
        if isinstance(error, HfHubHTTPError) and error.response.status_code in _FORBIDDEN:
            raise UserError(
                f"the hub does not give {source} ({error.response.status_code})",
                where=where,
                hint="log in with `hf auth login` or set HF_TOKEN, as somebody who may read it",
                fault_class=FaultClass.PERMISSION,
            ) from error
        if (why := unusable_settings()) is not None:
            raise UserError(why, where=f"environment; the hub is asked for {source}") from error
        first_line = str(error).strip().partition("\n")[0]
        no_copy = " and the cache has no complete copy" if has_cache else ""
        raise SurroundingsError(
            f"the hub cannot be reached{no_copy} ({type(error).__name__}: {first_line})",
            where=where,
            hint=_SEEN_ELSEWHERE if has_cache else _GOES_ON,
        ) from error
