"""`job.json`: what was asked for, as it lies beside what an attempt left behind."""

from typing import Any, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import read_as
from cluster.storage import Storage


class InputReference(TypedDict):
    """One upstream job."""

    kind: str
    """Its kind."""
    key: str
    """Its key."""


class GatheredReference(TypedDict):
    """One upstream job in the identity of a job that gathers."""

    key: str
    """Its key."""
    stage: NotRequired[str]
    """Its stage."""
    cell: NotRequired[dict[str, str]]
    """Its cell."""


class RequestIdentity(TypedDict):
    """The identity of a job: what its key was made from."""

    version: NotRequired[int]
    """Version of its kind."""
    params: NotRequired[dict[str, Any]]
    """Params that change a number."""
    pins: NotRequired[dict[str, str]]
    """Digests and revisions of outside data."""
    inputs: NotRequired[dict[str, list[str | GatheredReference]]]
    """Input name -> keys of the jobs that it reads."""


class Request(TypedDict):
    """A request; later versions may add to it."""

    key: str
    """Key of the job."""
    kind: str
    """Kind of the job."""
    stage: NotRequired[str]
    """Stage of the study that asked."""
    cell: NotRequired[dict[str, str]]
    """Cell of the job."""
    params: dict[str, Any]
    """All its params, defaults written out."""
    identity: RequestIdentity
    """What its key was made from."""
    inputs: dict[str, list[InputReference]]
    """Input name -> the jobs that it reads."""


_REQUEST = TypeAdapter(Request)


def read_request(storage: Storage, name: str) -> Request | None:
    """Read a request; None where there is none. Raises ValueError where it is damaged."""
    return read_as(storage, name, _REQUEST)


def readable_request(storage: Storage, name: str) -> Request | None:
    """Read a request; None where there is none, or it is damaged."""
    try:
        return read_request(storage, name)
    except ValueError:
        return None
