"""Which `RAY_*` variables does a Ray of our own get of those around a launch?

A shell that was set up for another Ray, or a job of one, says where that is, who may enter it, and
what is installed for its jobs. Our own would look for it, or install that. What tunes a Ray is left
to the user; where one does not start, all that is set is named: Ray ends without a word of it.
"""

import os
from collections.abc import Callable, Mapping

from cluster.errors import DeltascaleError, UserError

_OF_ANOTHER = (
    # where it is, and who may enter it
    *("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_DASHBOARD_ADDRESS", "RAY_NAMESPACE"),
    *("RAY_AUTH_TOKEN", "RAY_ENABLE_K8S_TOKEN_AUTH", "RAY_USE_TLS", "RAY_TLS_", "RAY_CLIENT_"),
    *("RAY_REDIS_", "RAY_redis_", "RAY_gcs_storage", "RAY_external_storage_namespace"),
    *("RAY_EXTERNAL_STORAGE_", "RAY_ENABLE_GCS_LEADER_ELECTION", "RAY_ray_cookie", "RAY_CLUSTERS"),
    # its jobs, and what is installed or called for them
    *("RAY_JOB_", "RAY_RUNTIME_ENV", "RAY_START_HOOK", "RAY_WORKER_PROCESS_SETUP_HOOK"),
    # its nodes
    *("RAY_OVERRIDE_", "RAY_NODE_", "RAY_CLOUD_INSTANCE_ID", "RAY_IP", "RAY_PORT"),
)
"""Beginnings of the names of what belongs to another Ray (2.60, and KubeRay)."""
_USED = "RAY_memory_usage_threshold"
_LOOKS = "RAY_memory_monitor_refresh_ms"
_FREE = "RAY_min_memory_free_bytes"
_MOST = 2**63


def forget_other_rays() -> None:
    """Take away what binds this process, and the Ray that it starts, to another Ray."""
    for name in [*os.environ]:
        if name.startswith(_OF_ANOTHER) or (name in _MEMORY and not os.environ[name].strip()):
            del os.environ[name]


def require_own_ray_can_read(environment: Mapping[str, str]) -> None:
    """Require that the settings of Ray's memory monitor are numbers that it takes.

    Raises:
        UserError: one is not; Ray would end at its start, or wait until its time is up.
    """
    for name, (is_read, allowed) in _MEMORY.items():
        value = environment.get(name, "").strip()
        if value and not is_read(value):
            raise UserError(
                f"Ray cannot read {value!r}",
                where=f"environment variable {name}",
                allowed=[allowed],
                hint=_as_share(value) if name == _USED else None,
            )


def with_set_variables(fault: DeltascaleError, environment: Mapping[str, str]) -> DeltascaleError:
    """Return why a Ray of our own did not start, with the variables of Ray that were set."""
    names = sorted(
        name for name in environment if name.startswith("RAY_") and not name.startswith(_OF_ANOTHER)
    )
    if not names:
        return fault
    told = f"set around this launch, and read by Ray: {', '.join(names)}"
    return type(fault)(
        fault.error,
        where=fault.where,
        allowed=fault.allowed,
        hint=f"{told}; {fault.hint}" if fault.hint else told,
        fault_class=fault.fault_class,
        code=fault.code,
    )


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) < _MOST


def _as_share(text: str) -> str | None:
    percent = text.removesuffix("%").strip()
    is_percent = not _is_share(percent) and _is_share(f"{percent}e-2")
    return f"did you mean {float(percent) / 100:g}?" if is_percent else None


_MEMORY: Mapping[str, tuple[Callable[[str], bool], str]] = {
    _USED: (_is_share, "a share of the memory, from 0 to 1"),
    _LOOKS: (_is_count, "whole milliseconds; 0: never"),
    _FREE: (lambda text: text == "-1" or _is_count(text), "whole bytes; -1: by the share alone"),
}
"""What this program sets or documents -> what tells whether Ray can read it, and what that is."""
