"""Takes files of the hub into a root: listed, checked by the hub's hashes, resumed where cut off.

huggingface_hub makes the requests. Its own downloads into a folder begin anew after a killed
process (its partial files have names of one process); here a partial file is named by the hash of
what it becomes, so that whoever comes next goes on with it. The lock of the commit keeps two
processes of a root from one download.
"""

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

from cluster.disk.disk_faults import fault_of
from cluster.disk.durable import sync
from cluster.disk.temp_folders import lasting_folder
from cluster.errors import SurroundingsError
from cluster.locks.file_lock import FileLock
from cluster.locks.held import Held, Occupied
from cluster.locks.holder import Holder
from cluster.locks.lease import LeaseLock
from jobs.hub.client import hub_faults
from jobs.hub.repository import Repository
from jobs.hub.shelf import HubFile, Shelf

_LOOK_EVERY_S = 1.0
"""How often a download that somebody else does is looked at."""
_TRIES = 5
"""Tries of one file where the hub fails and no byte comes; each goes on where the last ended."""
_LONGEST_WAIT_S = 30.0

Report = Callable[[str], object]
"""Takes one line for the user."""


def commit_now(repository: Repository, revision: str | None) -> str:
    """Ask the hub which commit a revision stands for; no cache answers in its place.

    Raises:
        UserError: there is no such repository or revision, or it may not be read.
        SurroundingsError: the hub cannot be reached.
    """
    from huggingface_hub import HfApi

    with hub_faults(str(repository), revision, has_cache=False):
        info = HfApi().repo_info(repository.name, repo_type=repository.type, revision=revision)
    assert info.sha is not None, f"the hub names no commit of {repository}"
    return info.sha


def listing_of(repository: Repository, commit: str) -> dict[str, HubFile]:
    """List the files of a commit, with the hashes that the hub gives. Raises as `commit_now`."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    with hub_faults(str(repository), commit, has_cache=False):
        tree = HfApi().list_repo_tree(
            repository.name, recursive=True, revision=commit, repo_type=repository.type
        )
        return {
            file.path: HubFile(size=file.lfs.size, sha256=file.lfs.sha256)
            if file.lfs is not None
            else HubFile(size=file.size, git_sha1=file.blob_id)
            for file in tree
            if isinstance(file, RepoFile)
        }


def require_access(shelf: Shelf, file: str) -> None:
    """Ask for the head of a file: gated and private repositories list what they do not give.

    Raises:
        UserError: this login may not read it.
        SurroundingsError: the hub cannot be reached.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    with hub_faults(str(shelf.repository), shelf.commit, has_cache=False):
        get_hf_file_metadata(_url(shelf, file, hf_hub_url), retry_on_errors=True)


def fetch(
    shelf: Shelf, listing: Mapping[str, HubFile], names: Sequence[str], report: Report
) -> int:
    """Take files into a root, and record them once all are there; return the bytes downloaded.

    Args:
        shelf: the commit.
        listing: all files of the repository.
        names: the files to take.
        report: is told of each file, and of a wait for another process.

    Raises:
        UserError: the hub does not give a file.
        SurroundingsError: the hub or the disk fails; what came stays, and is gone on with.
    """
    with _locked(shelf, report) as held:
        shelf = Shelf(shelf.root, shelf.repository, shelf.commit)  # as it is under the lock
        if shelf.find(lambda _: names) is not None:
            return 0
        downloaded = 0
        for name in names:
            held.check()
            if not _is_there(shelf, name, listing[name]):
                report(f"{shelf.repository}: {name}")
                downloaded += _take(shelf, name, listing[name])
        held.confirm()
        shelf.record({name: listing[name] for name in names}, listing)
    return downloaded


def bytes_to_fetch(shelf: Shelf, listing: Mapping[str, HubFile], names: Sequence[str]) -> int:
    """Return how many bytes of files a root lacks; what is there of partial files counts as had."""
    sizes = shelf.root.sizes(f"{shelf.folder}/files")
    missing = [name for name in names if sizes.get(name) != listing[name].size]
    return sum(
        listing[name].size - min(listing[name].size, _size(_part_of(shelf, listing[name])))
        for name in missing
    )


@contextlib.contextmanager
def _locked(shelf: Shelf, report: Report) -> Iterator[Held]:
    """Hold the lock of a commit; wait for whoever holds it, and say so once."""
    holder = Holder.this_process(f"fetch-{uuid.uuid4().hex[:6]}")
    name = f"{shelf.folder}/lock"
    root = shelf.root
    lock: Any = FileLock(root.path(name)) if root.is_local else LeaseLock(root, name)
    is_told = False
    with contextlib.ExitStack() as stack:
        while True:
            try:
                held: Held = stack.enter_context(lock.hold(holder))
                break
            except Occupied as occupied:
                if not is_told:
                    report(f"{shelf.repository}: waiting for {occupied.holder or 'another fetch'}")
                    is_told = True
                time.sleep(_LOOK_EVERY_S)
        yield held


def _is_there(shelf: Shelf, name: str, file: HubFile) -> bool:
    """Tell whether a file of an earlier download stands whole under its name."""
    full = shelf.name_of(name)
    if shelf.root.size(full) != file.size:
        return False
    # An object under such a name was checked before it was uploaded, whole or not at all.
    return not shelf.root.is_local or file.fault_of(shelf.root.path(full)) is None


def _take(shelf: Shelf, name: str, file: HubFile) -> int:
    """Download a file, check it, and give it its name; return the bytes that came."""
    part = _part_of(shelf, file)
    before = _size(part)
    for is_last in (False, True):
        _download(shelf, name, file, part)
        fault = file.fault_of(part)
        if fault is None:
            break
        part.unlink()  # some byte of it is wrong, nobody knows which: from the start, once
        if is_last:
            raise SurroundingsError(
                f"what the hub sends as {name} is not what it lists: {fault}",
                where=str(shelf),
                hint="a proxy or a mirror may be at fault (HF_ENDPOINT); nothing of it was kept",
            )
    _give_name(shelf, part, name)
    return max(0, file.size - before)


def _give_name(shelf: Shelf, part: Path, name: str) -> None:
    full = shelf.name_of(name)
    if not shelf.root.is_local:
        shelf.root.upload(part, full)
        part.unlink()
        return
    target = shelf.root.path(full)
    try:
        sync(part)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, shelf.root.path(full))
        sync(target.parent)
    except OSError as error:
        raise fault_of(error, shelf.root.url, f"keep {full}") from error


def _download(shelf: Shelf, name: str, file: HubFile, part: Path) -> None:
    """Append to a partial file what it lacks."""
    import tenacity
    from huggingface_hub import hf_hub_url

    url = _url(shelf, name, hf_hub_url)
    _require_room(shelf, file, part)
    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass),
        stop=tenacity.stop_after_attempt(_TRIES),
        wait=tenacity.wait_random_exponential(multiplier=1, max=_LONGEST_WAIT_S),
        reraise=True,
    )
    with hub_faults(str(shelf.repository), shelf.commit, has_cache=False):
        tries(_append, url, part, file.size, name)


def _append(url: str, part: Path, size: int, name: str) -> None:
    """Go on with a partial file, up to its size."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    try:
        if _size(part) > size:
            part.unlink()
        part.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "ab") as stream:
            http_get(
                url,
                stream,
                resume_size=stream.tell(),
                # Of a packed answer no part could be asked for.
                headers={**build_hf_headers(), "Accept-Encoding": "identity"},
                expected_size=size,
                displayed_filename=name,
            )
    except OSError as error:
        if error.errno is None:
            raise  # the hub's: refusals, answers of another size
        raise fault_of(error, str(part.parent), f"write {name}") from error


def _may_pass(error: BaseException) -> bool:
    """Tell whether a fault of the hub or of the way to it may pass by itself."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500
    # An OSError without a number is an answer of another size than was said.
    return isinstance(error, httpx2.TransportError | OSError)


def _require_room(shelf: Shelf, file: HubFile, part: Path) -> None:
    """Raise SurroundingsError where a file does not fit beside what the disk holds."""
    folder = part.parent
    while not folder.is_dir():
        folder = folder.parent
    free, lacks = shutil.disk_usage(folder).free, file.size - _size(part)
    if lacks > free:
        raise SurroundingsError(
            f"{lacks / 1e9:.2f} GB more do not fit: {free / 1e9:.2f} GB are free",
            where=str(part.parent),
            hint="free space, or choose another root with --root; the same command goes on",
        )


def _part_of(shelf: Shelf, file: HubFile) -> Path:
    """Return where a download lies until it is whole: in the root, or here for a remote one."""
    if shelf.root.is_local:
        return shelf.root.path(f"{shelf.folder}/parts/{file.digest}")
    of_root = xxhash.xxh3_64_hexdigest(shelf.root.url.encode())
    return lasting_folder("parts") / of_root / shelf.folder / file.digest


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _url(shelf: Shelf, file: str, hf_hub_url: Callable[..., str]) -> str:
    repository = shelf.repository
    return hf_hub_url(repository.name, file, repo_type=repository.type, revision=shelf.commit)
