"""The child process that speaks with a Ray's job server: reads a request, prints one line of JSON.

What is written here holds for Ray 2.60.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cluster.driver.ray_access import AUTH_MODE, FIRST_MODE, enter, find_address, is_this_machine
from cluster.driver.ray_endings import first_line
from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.machine.way_out import asked_directly

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_NO_SERVER = (
    "stop that Ray, install `deltascale[cluster]` (or `ray[default]`) where its head runs, and "
    "start the head with --include-dashboard=true; or detach as a process: without --address, "
    "`launch --detach` needs no job server"
)
_LOOKS_WITHIN_S = 60.0
_TRIES, _PAUSE_S = 15, 2.0
"""How often the job server is looked for, and asked while it is not ready: it comes up after the
head itself."""
_READY_WITHIN_S = 60.0
_NOT_YET = "No available agent"
"""In what Ray answers while the head that takes jobs is coming up."""


def main() -> None:
    """Do what standard input asks for, and answer on standard output."""
    request = json.load(sys.stdin)
    os.environ[AUTH_MODE] = FIRST_MODE
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        answer = _submit(request)
    except SurroundingsError as fault:
        answer = {**fault.as_json(), "fault_class": fault.fault_class.value}
    except Exception as fault:  # Ray and its client raise many kinds; all mean the same to a user
        answer = {"error": f"the Ray took no job: {first_line(fault)}"}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def _submit(request: dict[str, Any]) -> dict[str, Any]:
    address = find_address() if request["address"] == "auto" else request["address"]
    warning = enter(address, is_open_allowed=request["is_open_allowed"])
    job, client = request["job"], _client(address)
    for known in client.list_jobs():
        if is_rival(known.metadata or {}, job["metadata"]) and not known.status.is_terminal():
            return {"rival": known.submission_id or ""}
    if job["files"] and not is_this_machine(address):
        _require_readable(address, job["files"], job["folder"])
    _hand_over(client, job, address)
    return {"address": address, "warning": warning}


def is_rival(known: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Tell by what two jobs say of themselves whether they are of one study on one root.

    Names do not tell: that of a study may begin another's, and others have roots of their own.
    """
    return all(known.get(name) == wanted[name] for name in ("study", "root"))


def _hand_over(client: "JobSubmissionClient", job: dict[str, Any], address: str) -> None:
    """Hand over the job, once the head takes any. Raises SurroundingsError where it does not."""
    until = time.monotonic() + _READY_WITHIN_S
    while True:
        try:
            client.submit_job(
                entrypoint=job["command"],
                submission_id=job["name"],
                runtime_env={"working_dir": job["folder"]},
                metadata=job["metadata"],
            )
            return
        except RuntimeError as fault:
            if _NOT_YET not in str(fault):
                raise
            if time.monotonic() > until:
                raise SurroundingsError(
                    "the head of this Ray takes no jobs: its dashboard agent is not up",
                    where=address,
                    hint="`dashboard_agent.log` of its session says why; where several Rays share "
                    "a machine, give each another --dashboard-agent-listen-port",
                    fault_class=FaultClass.CLUSTER,
                ) from fault
            time.sleep(_PAUSE_S)


def _require_readable(address: str, files: Sequence[str], folder: str) -> None:
    """Make sure that the head, which is another machine, sees these files as they are here.

    Raises:
        SurroundingsError: it does not, or this machine cannot ask it.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    try:
        ray.init(
            address=address,
            runtime_env={"working_dir": folder},
            log_to_driver=False,
            logging_level="CRITICAL",
        )
        (head,) = [
            node["NodeID"]
            for node in ray.nodes()
            if node["Alive"] and node["Resources"].get("node:__internal_head__")
        ]
        on_head = NodeAffinitySchedulingStrategy(head, soft=False)
        look = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=on_head)(sizes_of)
        theirs = ray.get(look.remote(list(files)), timeout=_LOOKS_WITHIN_S)
    except Exception as fault:  # Ray's own, of many kinds: this machine may be no node of it
        raise SurroundingsError(
            f"the launch would run on the head, which cannot be asked whether it sees {files[0]}"
            f"{_more(files)}: {first_line(fault)}",
            where=address,
            hint="detach from a node of that Ray, or put the files under the root",
            fault_class=FaultClass.CLUSTER,
        ) from fault
    unseen = [
        name
        for name, here, there in zip(files, sizes_of(files), theirs, strict=True)
        if here != there
    ]
    if unseen:
        raise SurroundingsError(
            f"the launch would run on the head, which does not see {unseen[0]} as it is here"
            f"{_more(unseen)}",
            where=address,
            hint="put it where all nodes see it under this path, such as under the root",
            fault_class=FaultClass.MISTAKE,
        )


def sizes_of(files: Sequence[str]) -> list[tuple[str, int] | None]:
    """Return what each path is: a file and its bytes, a folder and its entries, or nothing."""
    found: list[tuple[str, int] | None] = []
    for name in files:
        try:
            if os.path.isdir(name):
                found.append(("folder", len(os.listdir(name))))
            else:
                found.append(("file", os.path.getsize(name)))
        except OSError:
            found.append(None)
    return found


def _more(files: Sequence[str]) -> str:
    return f" and {len(files) - 1} more" if len(files) > 1 else ""


def _client(address: str) -> "JobSubmissionClient":
    """Return a client of the job server of the Ray at an address.

    Raises:
        SurroundingsError: the head has no job server, or it does not answer.
    """
    from ray.job_submission import JobSubmissionClient

    server = _server_of(address)
    os.environ.update(asked_directly(also=[server.rpartition(":")[0]]))
    try:
        return JobSubmissionClient(f"http://{server}")
    except (ConnectionError, RuntimeError) as fault:
        raise SurroundingsError(
            "this Ray has no job server that answers, so no launch can be detached on it: "
            f"{first_line(fault)}",
            where=f"http://{server}",
            hint=_NO_SERVER,
            fault_class=FaultClass.CLUSTER,
        ) from fault


def _server_of(address: str) -> str:
    """Return `host:port` of the job server, as the head says. Raises SurroundingsError."""
    from ray._private import ray_constants
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    key, namespace = ray_constants.DASHBOARD_ADDRESS, ray_constants.KV_NAMESPACE_DASHBOARD
    until, fault = time.monotonic() + _READY_WITHIN_S, None
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_S)
        try:
            gcs = GcsClient(address=address)
            said, fault = gcs.internal_kv_get(key.encode(), namespace, timeout=10), None
        except (
            Exception
        ) as error:  # Ray's own, of many kinds: a head that comes up is slow at first
            said, fault = None, error
        if said:
            return str(said.decode())
        if fault is not None and time.monotonic() > until:
            break
    if fault is not None:
        raise SurroundingsError(
            f"the head of this Ray does not answer: {first_line(fault)}",
            where=address,
            hint="it may be coming up, or its machine has much to do: the same command tries again",
            fault_class=FaultClass.CLUSTER,
            code="cluster-unreachable",
        ) from fault
    raise SurroundingsError(
        "this Ray has no job server, so no launch can be detached on it",
        where=address,
        hint=_NO_SERVER,
        fault_class=FaultClass.CLUSTER,
    )
