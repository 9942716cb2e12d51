"""What every node of a joined Ray has for this code: libraries, and the code as it arrived.

Ray itself compares its own version and Python's. Another torch on one node would give other
numbers there, and another copy of this code worse: such nodes get no call.
"""

import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any

from cluster.delivery.packages import digest_packages
from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.nodes.ray_nodes import Node
from cluster.orphans.launch_label import LaunchLabel
from cluster.orphans.left_processes import Sweep, end_left_by_earlier_launches

if TYPE_CHECKING:
    from ray import ObjectRef

_ANSWERED_WITHIN_S = 120.0
"""How long nodes may take to unpack the code and start a process, when Ray is joined."""
_LOOK_AGAIN_S = 60.0
"""How long after processes were found that do not end, their node is looked at again."""
_MOST_NAMED = 8


@dataclass(frozen=True, kw_only=True)
class NodeVersions:
    """What one machine has."""

    host: str
    """Its name."""
    libraries: Mapping[str, str]
    """Library -> version, of those that are there."""
    code: str
    """Digest of the packages that calls import there."""
    swept: Sweep | None = None
    """What earlier launches had left there; None where nobody looked."""

    def differences(self, other: "NodeVersions") -> list[str]:
        """Say what another machine has otherwise than this one, in short phrases.

        What stands behind a `+` of a version names a build (`+cpu`, `+cu130`), which may differ.
        """
        differing = [
            f"{name} {other.libraries.get(name, 'is missing')} (here {version})"
            for name, version in self.libraries.items()
            if _public(other.libraries.get(name, "")) != _public(version)
        ]
        if other.code != self.code:
            differing.append("other code of deltascale than this launch sent")
        return differing


def look_here(
    packages: Sequence[str], libraries: Sequence[str], label: LaunchLabel | None = None
) -> NodeVersions:
    """Return what this machine has, and end what earlier launches have left on it.

    Args:
        packages: the packages that make up the code.
        libraries: names of installed distributions.
        label: of the launch that asks; None ends nothing.
    """
    versions = {}
    for name in libraries:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return NodeVersions(
        host=platform.node(),
        libraries=versions,
        code=digest_packages(packages),
        swept=end_left_by_earlier_launches(label) if label else None,
    )


class NodeChecks:
    """Asks every node once what it has; until it has answered rightly it is to get no call."""

    def __init__(
        self,
        packages: Sequence[str],
        libraries: Sequence[str],
        label: LaunchLabel | None = None,
    ) -> None:
        import ray

        self._look = ray.remote(num_cpus=0, max_retries=0)(look_here)
        self._args = (packages, libraries, label)
        self._look_again_at: dict[str, float] = {}
        self._pending: dict[str, ObjectRef[NodeVersions]] = {}
        self._differing: dict[str, str] = {}
        self._right: set[str] = set()
        self._warnings: list[str] = []

    @cached_property
    def _here(self) -> NodeVersions:
        """Libraries and code of this machine, looked up once."""
        packages, libraries, _ = self._args
        return look_here(packages, libraries)

    def require(self, nodes: Iterable[Node]) -> None:
        """Ask all nodes and wait for what they answer; those that do not answer are asked on.

        Raises:
            SurroundingsError: some have something else; what, is listed.
        """
        import ray

        self._ask(nodes)
        if self._pending:
            refs: list[Any] = list(self._pending.values())
            _ = self._here  # this machine looks while the others do
            ray.wait(refs, num_returns=len(refs), timeout=_ANSWERED_WITHIN_S)
        self._take()
        self._warnings.clear()
        if self._differing:
            raise _refusal(sorted(self._differing.values()))

    def unfit(self, nodes: Sequence[Node]) -> frozenset[str]:
        """Return the ids of those of these nodes that are to get no call, for now or for good."""
        self._ask(nodes)
        self._take()
        return frozenset(node.name for node in nodes if node.name not in self._right)

    def warnings(self) -> list[str]:
        """Return what is to be told of nodes that came later, each once."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def _ask(self, nodes: Iterable[Node]) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        known = self._right | self._differing.keys() | self._pending.keys()
        for node in nodes:
            is_due = time.monotonic() >= self._look_again_at.get(node.name, 0.0)
            if node.is_alive and node.name not in known and is_due:
                there = NodeAffinitySchedulingStrategy(node_id=node.name, soft=False)
                asked = self._look.options(scheduling_strategy=there)
                self._pending[node.name] = asked.remote(*self._args)

    def _take(self) -> None:
        import ray

        for name, ref in list(self._pending.items()):
            if not ray.wait([ref], timeout=0)[0]:
                continue
            del self._pending[name]
            try:
                there = ray.get(ref)
            except Exception:  # Ray raises many kinds; the node died, or is asked once more
                continue
            if there.swept and there.swept.ended:
                self._warnings.append(f"{there.host}: {there.swept.describe()}")
            if there.swept and there.swept.left:
                if name not in self._look_again_at:
                    self._warnings.append(
                        f"the node {there.host} is set aside: {there.swept.describe()}; it is "
                        "given no job until they have ended"
                    )
                self._look_again_at[name] = time.monotonic() + _LOOK_AGAIN_S
            elif differences := self._here.differences(there):
                self._differing[name] = f"{there.host}: {', '.join(differences)}"
                self._warnings.append(
                    f"the node {self._differing[name]}; it is given no job, start it from the "
                    "environment of this launch"
                )
            else:
                self._right.add(name)


def _refusal(differing: Sequence[str]) -> SurroundingsError:
    more = f"; and {len(differing) - _MOST_NAMED} more" if len(differing) > _MOST_NAMED else ""
    return SurroundingsError(
        f"Ray is not joined: nodes have other versions than this launch: "
        f"{'; '.join(differing[:_MOST_NAMED])}{more}",
        hint="start every node from the same environment: the same lock file, image or shared venv",
        fault_class=FaultClass.MISTAKE,
        code="versions-differ",
    )


def _public(version: str) -> str:
    return version.partition("+")[0]
