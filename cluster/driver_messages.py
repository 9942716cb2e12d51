"""What an executor and the child process that holds its Ray say to each other.

Every message is one pickled object; the child answers `Look` with `Looked`, and sends `Looked` and
`Ended` on its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.errors import SurroundingsError
from cluster.executor import NodeRoom, Outcome
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from cluster.orphans.launch_label import LaunchLabel


class SlowStart(SurroundingsError):
    """The processes of a Ray of our own were not up when Ray gave up waiting for them."""

    default_code = "cluster-unreachable"
    default_class = FaultClass.CLUSTER


@dataclass(frozen=True, kw_only=True)
class Start:
    """The first message to the child: which Ray to start or join."""

    path: Sequence[str]
    """Where this process finds modules."""
    address: str | None
    """A running Ray to join; None starts one on this machine."""
    offered: Resources
    """What our own Ray may use."""
    code: str | None
    """Folder with the packages as they are now, or an archive for a Ray that is joined; None where
    calls import them from `path`."""
    packages: Sequence[str]
    """Their names."""
    libraries: Sequence[str]
    """Libraries of which every node of a joined Ray must have the versions of this machine."""
    is_open_allowed: bool
    """Whether a Ray beyond this machine is joined that lets anybody in."""
    label: LaunchLabel | None = None
    """Which launch all that is started belongs to; None: none."""
    takes_unlike_nodes: bool = False
    """Whether a Ray is joined whose nodes have other libraries or other code."""
    preloaded: Sequence[str] = ()
    """Modules that processes of our own Ray import as they start."""
    imports: Sequence[str] = ()
    """Modules that ranks import, for processes that stand ready to be some."""


@dataclass(frozen=True)
class Copied:
    """Says that all packages have been written to `code`."""


@dataclass(frozen=True, kw_only=True)
class Submit:
    """Queue one call."""

    ticket: str
    """Its name."""
    entry: str
    """Its entry point."""
    payload: str
    """What the entry point is given."""
    resources: Resources
    """What it needs."""
    secrets: Mapping[str, str]
    """Variables that only the process of the call may hold, by name."""
    avoided: frozenset[str] = frozenset()
    """Ids or addresses of nodes that it is not sent to."""
    node: str | None = None
    """Id or address of the node that it is to run on, whatever else runs there; None: any."""

    @classmethod
    def beside(cls, ticket: str, node: str, entry: str, payload: str) -> "Submit":
        """Make one of a small call that runs beside others on a node and asks for nothing."""
        nothing = Resources(num_cpus=0)
        return cls(
            ticket=ticket, entry=entry, payload=payload, resources=nothing, secrets={}, node=node
        )


@dataclass(frozen=True)
class Avoid:
    """Send calls to other nodes than these, by id or address."""

    nodes: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Interrupt one call."""

    ticket: str
    """Its name."""
    grace_s: float
    """How long it may save its work before its process is killed."""


@dataclass(frozen=True)
class ExpectAgain:
    """Prepare for the next try of a call that may have to be ended soon."""

    ticket: str
    """Name of the call."""


@dataclass(frozen=True)
class Look:
    """Look at the nodes now."""


@dataclass(frozen=True)
class Close:
    """Stop all calls and end."""


@dataclass(frozen=True)
class Started:
    """Ray is there; `warning` is what the user has to know of it."""

    warning: str | None = None
    dashboard: str | None = None
    """`host:port` of Ray's dashboard; None where there is none."""


@dataclass(frozen=True)
class Refused:
    """Ray cannot be had."""

    fault: SurroundingsError


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What there is at this moment."""

    nodes: Sequence[Resources]
    """What each living node offers."""
    free: Sequence[Resources]
    """What each of them has left."""
    is_answer: bool
    """Whether it answers a `Look`."""
    warnings: Sequence[str] = ()
    """What the user has to know of nodes that came since the last one."""
    rooms: Sequence[NodeRoom] = ()
    """The same nodes by name."""


@dataclass(frozen=True)
class Ended:
    """Calls that have ended."""

    outcomes: Sequence[Outcome]


@dataclass(frozen=True)
class Lost:
    """Ray has gone; it is the child's last message."""

    reason: str


ToChild = Start | Copied | Submit | Avoid | Cancel | ExpectAgain | Look | Close
FromChild = Started | Refused | Looked | Ended | Lost
