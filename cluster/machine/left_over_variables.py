"""Environment variables that another launcher, or a shell profile, left around a call.

Libraries read them when they are imported or when training begins, and would take one process for a
rank of a program that somebody else started (and wait for the others for ever), compute in another
precision than the params of the job say, or all on one core.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.home import missing_home
from cluster.machine.way_out import asked_directly

_OTHER_LAUNCHERS = (
    *("SLURM_", "PMI_", "PMIX_", "PRTE_", "OMPI_", "MPI_", "MV2_", "HYDRA_", "PALS_", "ALPS_"),
    *("FLUX_", "LSB_", "JSM_", "HOROVOD_", "SMDATAPARALLEL_", "SM_", "AZ_BATCH", "DLWS_", "DLTS_"),
)
"""Beginnings of what batch systems, MPI and cloud trainers tell their processes."""
_TORCH_LAUNCHERS = ("TORCHELASTIC_", "PET_")
"""Beginnings of what torchrun tells its processes, beside the following."""
_TORCH_RANKS = frozenset(
    {
        *("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
        *("LOCAL_RANK", "LOCAL_WORLD_SIZE", "LOCAL_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE"),
        *("ROLE_NAME", "ROLE_RANK", "ROLE_WORLD_SIZE", "CROSS_RANK", "CROSS_SIZE"),
        *("NODE_RANK", "NNODES", "NPROC_PER_NODE", "FORK_LAUNCHED"),
    }
)
"""What torch, accelerate and DeepSpeed take for the place of a process among ranks."""
_TF32 = "NVIDIA_TF32_OVERRIDE"
_SETTING_PREFIXES = (
    *("ACCELERATE_", "FSDP_", "MEGATRON_LM_", "PARALLELISM_CONFIG_"),
    "PYTORCH_TUNABLEOP_",
)
"""Beginnings of what `accelerate launch` tells its processes: engine, precision, batches; and of
what has torch choose other kernels for products."""
_SETTINGS = frozenset(
    {
        # Precision of products: params say it, and torch is told.
        *(_TF32, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
        *("DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE"),
        *("TORCH_BLAS_PREFER_CUBLASLT", "TORCH_LINALG_PREFER_CUSOLVER", "DISABLE_ADDMM_CUDA_LT"),
        *("XLA_USE_BF16", "XLA_DOWNCAST_BF16", "USE_TORCH_XLA"),
        # Other modules, kernels or accelerators than those that a kind has chosen.
        *("DS_ACCELERATOR", "TRANSFORMERS_SDPA_FORCE_GQA", "TRUST_REMOTE_CODE"),
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD",
    }
)
"""What changes what a library computes, whatever the params of a job say."""
BACKEND = "MPLBACKEND"
"""Where matplotlib shows pictures. A kernel of Jupyter names a module for it, without which another
Python cannot import matplotlib at all."""
OPTIMIZE = "PYTHONOPTIMIZE"
"""From 2 on Python drops docstrings, which transformers reads as it is imported."""
_WARNINGS = "PYTHONWARNINGS"
"""`error` makes an error of every word of a library that something will be called otherwise."""
_OF_ANOTHER_PROCESS = frozenset({BACKEND, OPTIMIZE, _WARNINGS})
"""What was meant for the process around a launch, and keeps libraries from being used."""
_BOUND = frozenset({"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"})
"""Bind the threads of a process to cores, from its first one on: all processes of a machine, and
what they start, would share the first core. What a batch system binds a process to stays."""
_NAMES = _SETTINGS | _OF_ANOTHER_PROCESS | _BOUND
_FIXED = {"USE_HUB_KERNELS": "NO"}
"""What is set: transformers would load compiled kernels from the hub where it can."""


@contextmanager
def one_process() -> Iterator[None]:
    """Let one process be one rank, and compute as its params say, until the end of the block."""
    before = dict(os.environ)
    _remove(_is_of_no_single_process)
    try:
        yield
    finally:
        for name in before.keys() - os.environ.keys():
            os.environ[name] = before[name]


def forget_other_launchers() -> None:
    """Leave a rank of ours with what our own launcher said, and with the settings of its params."""
    _remove(lambda name: is_setting(name) or _is_foreign(name))


def require_own_precision() -> None:
    """Require that cuBLAS computes as it is told.

    Raises:
        SurroundingsError: NVIDIA_TF32_OVERRIDE=1 stood where this process loaded torch. No call
            takes that back.
    """
    if _is_tf32_forced():
        raise SurroundingsError(
            f"{_TF32}={os.environ.get(_TF32, '1')} was set when this process began: NVIDIA's "
            "libraries would round every fp32 product to 10 bits, whatever a job's params say",
            where=f"environment of this machine ({_TF32})",
            hint="unset it where the launch, or the Ray of its nodes, is started",
            fault_class=FaultClass.MISTAKE,
        )


@cache
def _is_tf32_forced() -> bool:
    """Tell it of this process for good: whether torch, and cuBLAS with it, came before we did."""
    return os.environ.get(_TF32, "0") not in ("", "0") and "torch" in sys.modules


def _remove(is_left_over: Callable[[str], bool]) -> None:
    _is_tf32_forced()  # while the variable is there
    for name in [name for name in os.environ if is_left_over(name)]:
        del os.environ[name]
    os.environ.update(_FIXED | missing_home() | asked_directly())


@lru_cache(maxsize=4096)
def _is_of_no_single_process(name: str) -> bool:
    return is_setting(name) or _is_foreign(name) or _is_rank(name)


def _is_foreign(name: str) -> bool:
    return name.startswith(_OTHER_LAUNCHERS)


def _is_rank(name: str) -> bool:
    return name in _TORCH_RANKS or name.startswith(_TORCH_LAUNCHERS)


def is_setting(name: str) -> bool:
    """Tell whether a variable changes what libraries compute, or where, or keeps them away."""
    return name in _NAMES or name.startswith(_SETTING_PREFIXES)
