"""Takes what a study needs of the hub into its root: all asked first, then one after another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.disk.temp_folders import swept
from cluster.errors import DeltascaleError, SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from jobs.hub.client import DEFAULT_REVISION
from jobs.hub.downloading import (
    Report,
    bytes_to_fetch,
    commit_now,
    fetch,
    listing_of,
    require_access,
)
from jobs.hub.shelf import HubFile, Shelf
from orchestrator.fetching.needs import Need
from orchestrator.text import gigabytes, pluralize


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """The files of one need, as the hub lists them now."""

    need: Need
    """What needs them."""
    shelf: Shelf
    """Where they go."""
    listing: Mapping[str, HubFile]
    """All files of the repository."""
    names: Sequence[str]
    """The files to take."""
    bytes_to_fetch: int
    """Bytes that the root lacks."""

    is_here: bool = False
    """Whether it is whole in the root: then nobody is asked for it."""

    @property
    def bytes(self) -> int:
        """Bytes of all its files."""
        return sum(self.listing[name].size for name in self.names)


def ask_hub(
    root: Storage, needs: Sequence[Need], revisions: Mapping[str, str]
) -> tuple[list[Parcel], dict[str, str]]:
    """Ask the hub for everything, before anything is fetched.

    Args:
        root: the output root.
        needs: what is needed.
        revisions: what the root remembers of revisions; those stay.

    Returns:
        What is to be fetched, and the revisions: those given, and those asked for now.

    Raises:
        UserError: gated, private or missing ones; one message names all of them.
        SurroundingsError: the hub cannot be reached.
    """
    parcels: list[Parcel] = []
    refused: list[UserError] = []
    known = dict(revisions)
    for need in needs:
        try:
            commit = need.commit(known) or commit_now(need.repository, need.revision)
            shelf = Shelf(root, need.repository, commit)
            here = shelf.find(need.choose)
            if here:
                parcels.append(_parcel_here(need, shelf, here))
                continue
            listing = listing_of(need.repository, commit)
            names = need.require_files(list(listing))
            require_access(shelf, min(names, key=lambda name: listing[name].size))
        except UserError as fault:
            refused.append(fault)
            continue
        if commit != need.revision:
            known[need.known_name] = commit
        parcels.append(
            Parcel(
                need=need,
                shelf=shelf,
                listing=listing,
                names=names,
                bytes_to_fetch=bytes_to_fetch(shelf, listing, names),
            )
        )
    if len(refused) == 1:
        raise refused[0]
    if refused:
        raise _all_of(refused)
    return parcels, known


def _parcel_here(need: Need, shelf: Shelf, names: Sequence[str]) -> Parcel:
    assert shelf.contents is not None, "what was found has a record"
    return Parcel(
        need=need,
        shelf=shelf,
        listing=shelf.contents.files,
        names=names,
        bytes_to_fetch=0,
        is_here=True,
    )


def _all_of(refused: Sequence[UserError]) -> UserError:
    """Join refusals into one message, each with its way on, said once."""
    hints = dict.fromkeys(fault.hint for fault in refused if fault.hint)
    is_permission = any(fault.fault_class is FaultClass.PERMISSION for fault in refused)
    return UserError(
        f"the hub does not give {len(refused)} of what the study needs, so nothing is fetched: "
        + "; ".join(f"{fault.error} ({fault.where})" for fault in refused),
        hint="; ".join(hints) or None,
        fault_class=FaultClass.PERMISSION if is_permission else None,
        code="gated",
    )


def require_room(parcels: Sequence[Parcel], free_bytes: int | None) -> None:
    """Raise SurroundingsError where all together do not fit on the disk of a local root."""
    total = sum(parcel.bytes_to_fetch for parcel in parcels)
    if free_bytes is not None and total > free_bytes:
        raise SurroundingsError(
            f"{gigabytes(total)} do not fit: {gigabytes(free_bytes)} are free on the root",
            where=parcels[0].shelf.root.url,
            hint="free space, or choose another root with --root; nothing was fetched",
            fault_class=FaultClass.STORAGE_FULL,
            code="no-space",
        )


@swept()
def fetch_all(parcels: Sequence[Parcel], report: Report) -> int:
    """Fetch everything; return the bytes that came.

    What one fault does not concern is fetched all the same, so that a node's hours of internet are
    not lost to one repository.

    Raises:
        DeltascaleError: some could not be fetched; a disk that fails ends it at once.
    """
    downloaded, faults = 0, list[DeltascaleError]()
    for parcel in parcels:
        if parcel.is_here:
            continue
        try:
            downloaded += fetch(parcel.shelf, parcel.listing, parcel.names, report)
        except DeltascaleError as fault:
            if fault.fault_class not in _OF_ONE_REPOSITORY:
                raise
            faults.append(fault)
    if len(faults) > 1:
        raise SurroundingsError(
            f"{len(faults)} of {len(parcels)} were not fetched: "
            + "; ".join(f"{fault.error} ({fault.where})" for fault in faults),
            hint="the same command goes on where this one ended",
        ) from faults[0]
    if faults:
        raise faults[0]
    return downloaded


_OF_ONE_REPOSITORY = frozenset({FaultClass.UNKNOWN, FaultClass.PERMISSION, FaultClass.MISTAKE})


def described(parcel: Parcel) -> str:
    """Write a line: `hf://org/name at main (9f2a…): 5 files, 1.2 GB; 0.4 GB to fetch`."""
    need = parcel.need
    revision = need.revision or DEFAULT_REVISION
    commit = parcel.shelf.commit
    at = commit[:12] if revision == commit else f"{revision} ({commit[:12]})"
    lacks = f"{gigabytes(parcel.bytes_to_fetch)} to fetch" if not parcel.is_here else "here already"
    files = pluralize(len(parcel.names), "file")
    return f"{need.source} at {at}: {files}, {gigabytes(parcel.bytes)}; {lacks}"
