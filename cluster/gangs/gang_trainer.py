"""`GangTrainer`: Ray Train's trainer for the ranks of a gang, with no process of its own.

Ray Train gives its controller a process, and starts two more beside the ranks: one hands out data
sets, which a gang has none of; one gives reservations back once the controller's process has died,
and needs a dashboard. Here the controller runs in the driver, which is warm after the first gang,
and the board knows the reservation as soon as there is one.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ray
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.worker_group import Worker, WorkerGroup
from ray.util.placement_group import PlacementGroup, placement_group_table

from cluster.gangs.gang_spares import Spares, kill

if TYPE_CHECKING:
    from ray.actor import ActorHandle
    from ray.train import Result
    from ray.train.v2._internal.execution.callback import RayTrainCallback
    from ray.train.v2._internal.execution.worker_group.placement_group_handle import (
        PlacementGroupHandle,
    )

_READY_WITHIN_S = 5.0
"""How long spares may still import, on a machine where ranks that hung compute no more."""
_NOT_FOR_GANGS = (DatasetsCallback, PlacementGroupCleanerCallback)


class GangTrainer(TorchTrainer):  # type: ignore[misc]
    """Starts and watches the ranks of one gang; `fit` blocks until all of them have ended.

    Args:
        train_loop: what each rank calls.
        spares: processes that may become the ranks.
        parts: as of TorchTrainer.
    """

    def __init__(self, train_loop: Callable[..., None], *, spares: Spares, **parts: Any) -> None:
        self._spares = spares
        super().__init__(train_loop, **parts)

    def _create_default_callbacks(self) -> "list[RayTrainCallback]":
        callbacks = super()._create_default_callbacks()
        return [one for one in callbacks if not isinstance(one, _NOT_FOR_GANGS)]

    def _initialize_and_run_controller(self, **parts: Any) -> "Result":
        class Ranks(_Ranks):
            spares = self._spares

        class Controller(TrainController):  # type: ignore[misc]
            worker_group_cls = Ranks

        controller = Controller(**parts)
        asyncio.run(controller.run())
        return controller.get_result()


class _Ranks(WorkerGroup):  # type: ignore[misc]
    spares: Spares = ()

    def _create_placement_group(self, *args: Any) -> "PlacementGroupHandle":
        handle = super()._create_placement_group(*args)
        board: ActorHandle = self._train_run_context.train_loop_config["board"]
        ray.get(board.hold.remote(handle.placement_group.id.hex()))
        return handle

    def _create_workers(
        self, num_workers: int, placement_group: PlacementGroup, *args: Any, **kwargs: Any
    ) -> "list[Worker]":
        bundles = placement_group_table(placement_group)["bundles_to_node_id"]
        spares = _ready(self.spares, [bundles[place] for place in range(num_workers)])
        if spares is None:
            kill(self.spares)
            workers: list[Worker] = super()._create_workers(
                num_workers, placement_group, *args, **kwargs
            )
            return workers
        resources = self._worker_group_context.resources_per_worker
        told = ray.get([actor.get_metadata.remote() for actor in spares])
        found = [
            Worker(actor, metadata, resources, placement_group_bundle_index=place)
            for place, (actor, metadata) in enumerate(zip(spares, told, strict=True))
        ]
        return list(WorkerGroup._assign_worker_ranks(found))

    def _init_train_context_on_workers(
        self,
        workers: "list[Worker]",
        sync_actor: "ActorHandle",
        train_context_args: dict[str, list[Any]],
    ) -> None:
        # As Ray Train does it, but for `controller_actor`: the controller is none.
        ray.get(
            [
                worker.actor.init_train_context.remote(
                    train_run_context=self._train_run_context,
                    distributed_context=worker.distributed_context,
                    synchronization_actor=sync_actor,
                    storage_context=self._storage_context,
                    worker_callbacks=self._worker_callbacks_to_propagate,
                    controller_actor=None,
                    **{name: values[place] for name, values in train_context_args.items()},
                )
                for place, worker in enumerate(workers)
            ]
        )


def _ready(spares: Spares, nodes: Sequence[str]) -> "list[ActorHandle] | None":
    """Return a ready spare for each of these nodes, in their order; None where one is missing."""
    left, chosen = list(spares), []
    for node in nodes:
        found = next((one for one in left if one[0] == node), None)
        if found is None:
            return None
        left.remove(found)
        chosen.append(found[1])
    try:
        ray.get([actor.await_ready.remote() for actor in chosen], timeout=_READY_WITHIN_S)
    except ray.exceptions.RayError:  # one has died, or others hold its processor
        return None
    return chosen
