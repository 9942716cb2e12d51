"""`Site`: what the doctor looks at: nodes that can be asked, the root, what is wanted of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cluster.errors import SurroundingsError
from cluster.fitness.asked_nodes import AskedNodes, ThisMachine
from cluster.machine.resources import Resources
from cluster.storage import Storage
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.profiles.profile_file import ChosenProfile


@dataclass(frozen=True, kw_only=True)
class Site:
    """One place where jobs may run."""

    nodes: AskedNodes
    """The nodes that jobs run on, as far as they can be asked from here."""
    here: AskedNodes = field(default_factory=ThisMachine)
    """This machine, where the doctor runs."""
    root: Storage
    """The output root."""
    chosen: ChosenProfile | None = None
    """The profile that names the place; None: none was named."""
    wanted: Sequence[Resources] = ()
    """The nodes that the profile promises."""
    decided: DecidedPlan | None = None
    """The study that is to run there, planned; None: none was named."""
    ray: str | None = None
    """Address of the Ray that is to be joined; None: none is."""
    warning: str | None = None
    """What whoever joined it has to know of this Ray."""
    dashboard: str | None = None
    """`host:port` of its dashboard; None where there is none."""
    refusal: SurroundingsError | None = None
    """Why the Ray could not be joined, so that this machine stands for its nodes; None: it was."""
    is_queue: bool = False
    """Whether a queue hands out the nodes, so that this machine stands for them."""

    @property
    def is_one_machine(self) -> bool:
        """Whether all that can be asked is one node."""
        return len(self.nodes.nodes) == 1
