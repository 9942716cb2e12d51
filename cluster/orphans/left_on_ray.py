"""Ends what earlier launches of a study have left on a Ray that is joined: drivers, actors, places.

Ray itself ends what a driver had started once that has died. What stays is a driver that lives on
without its launch, such as one that hangs; and what was made to outlive drivers. Each launch has
its label as Ray's namespace, so that its own are told for sure.
"""

from contextlib import suppress
from typing import Any

from cluster.orphans.launch_label import LaunchLabel
from cluster.orphans.left_processes import Sweep, end_left_by_earlier_launches

_SWEPT_WITHIN_S = 30.0


def end_left_on_ray(label: LaunchLabel) -> list[str]:
    """End drivers, actors and placement groups of earlier launches; return what was ended."""
    return [*_end_drivers(label), *_end_actors(label), *_end_places(label)]


def _drivers_of_earlier(label: LaunchLabel) -> list[Any]:
    """Return Ray's entries of the drivers of earlier launches of a study that live."""
    from ray._private.state import state
    from ray.core.generated.gcs_pb2 import JobTableData

    accessor = state._connect_and_get_accessor()
    rows = accessor.get_job_table(
        skip_submission_job_info_field=True, skip_is_running_tasks_field=True
    )
    jobs = [JobTableData.FromString(row) for row in rows]
    return [
        job
        for job in jobs
        if not job.is_dead and label.is_left_by_earlier(LaunchLabel.parse(job.config.ray_namespace))
    ]


def _end_drivers(label: LaunchLabel) -> list[str]:
    """End the processes of drivers that live without a launch, on the nodes where they are."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    addresses = {job.driver_address.ip_address for job in _drivers_of_earlier(label)}
    sweep = ray.remote(num_cpus=0, max_retries=0)(end_left_by_earlier_launches)
    asked = []
    for node in ray.nodes():
        if node["Alive"] and node["NodeManagerAddress"] in addresses:
            addresses.discard(node["NodeManagerAddress"])
            there = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            asked.append(sweep.options(scheduling_strategy=there).remote(label))
    answered, _ = ray.wait(asked, num_returns=len(asked), timeout=_SWEPT_WITHIN_S)
    ended: list[str] = []
    for ref in answered:
        with suppress(ray.exceptions.RayError):
            found: Sweep = ray.get(ref)
            ended += found.ended
    return ended


def _end_actors(label: LaunchLabel) -> list[str]:
    import ray

    ended: list[str] = []
    for actor in ray.util.list_named_actors(all_namespaces=True):
        if label.is_left_by_earlier(LaunchLabel.parse(actor["namespace"])):
            with suppress(ValueError, ray.exceptions.RayError):
                ray.kill(ray.get_actor(actor["name"], namespace=actor["namespace"]))
                ended.append(f"actor {actor['name']}")
    return ended


def _end_places(label: LaunchLabel) -> list[str]:
    import ray
    from ray._private.state import state
    from ray.core.generated.gcs_pb2 import PlacementGroupTableData
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    ended: list[str] = []
    for row in state._connect_and_get_accessor().get_placement_group_table():
        place = PlacementGroupTableData.FromString(row)
        is_there = place.state != PlacementGroupTableData.REMOVED
        if is_there and label.is_left_by_earlier(LaunchLabel.parse(place.ray_namespace)):
            group = PlacementGroup(ray.PlacementGroupID(place.placement_group_id))
            remove_placement_group(group)
            ended.append(f"placement group {place.name or place.placement_group_id.hex()[:8]}")
    return ended
