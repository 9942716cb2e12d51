"""Variables of the driver of a gang, and of the processes that are its ranks, or may be."""

from cluster.machine.gpu_variables import gpu_variables
from cluster.machine.resources import Resources
from cluster.orphans.launch_label import GANG_VARIABLE

PLACED_WITHIN_S = 60.0
"""How long a gang may wait for its resources; only other launches can be holding them."""

RAY_TRAIN_VARIABLES = {
    "RAY_TRAIN_V2_ENABLED": "1",
    # How often its controller looks after the ranks; a killed one ends the gang at the next look.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": f"{PLACED_WITHIN_S:g}",
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "2",
    # Notices of preemption are ours to pass on: asking Ray Train for them is a barrier.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # Ranks keep the directory of the call, their streams and their loggers.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
_RANK_VARIABLES = {
    "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
    # DETAIL, left from a search for a hang, ends ranks on gloo with SIGSEGV (torch 2.13).
    "TORCH_DISTRIBUTED_DEBUG": "OFF",
    # The flight recorder: the last collective operations of each rank, written when one hangs.
    "TORCH_FR_BUFFER_SIZE": "2000",
    "TORCH_NCCL_DUMP_ON_TIMEOUT": "1",
}


def rank_variables(resources: Resources, ticket: str) -> dict[str, str]:
    """Return the variables that the processes of ranks start with; `ticket` is their gang's."""
    return {**_RANK_VARIABLES, GANG_VARIABLE: ticket} | (
        gpu_variables() if resources.num_gpus else {"CUDA_VISIBLE_DEVICES": ""}
    )
