"""Real exceptions of Python, torch and the libraries for the network, and whose fault they are."""

import concurrent.futures.process
import errno
import os
import socket
import ssl
import urllib.error

import httpx2
import pytest
import requests
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

from cluster.errors import OutOfMemory, SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from jobs.training.health import Diverged, GradientExploded, NothingLearned, SilentLoader
from jobs.worker.whose_fault import class_of


def of_number(number):
    return OSError(number, os.strerror(number))


def answered(status, kind=HfHubHTTPError):
    request = httpx2.Request("GET", "https://huggingface.co/model")
    return kind(f"HTTP {status}", response=httpx2.Response(status, request=request))


def raised_from(outer, cause):
    outer.__cause__ = cause
    return outer


CASES = [
    (UserError("wrong"), FaultClass.MISTAKE),
    (Diverged("nan"), FaultClass.DIVERGED),
    (GradientExploded("far"), FaultClass.DIVERGED),
    (NothingLearned("flat"), FaultClass.DIVERGED),
    (SilentLoader("no batch"), FaultClass.HUNG),
    (OutOfMemory("small"), FaultClass.OUT_OF_MEMORY),
    (SurroundingsError("full", fault_class=FaultClass.STORAGE_FULL), FaultClass.STORAGE_FULL),
    (SurroundingsError("who knows"), FaultClass.UNKNOWN),
    (ValueError("No space left on device"), FaultClass.PROGRAM),
    (KeyError("weight"), FaultClass.PROGRAM),
    (RuntimeError("shapes differ"), FaultClass.PROGRAM),
    # Memory of a device, of the host, of NVIDIA's libraries.
    (torch.OutOfMemoryError("CUDA out of memory"), FaultClass.OUT_OF_MEMORY),
    (MemoryError(), FaultClass.OUT_OF_MEMORY),
    (RuntimeError("CUDA error: out of memory"), FaultClass.OUT_OF_MEMORY),
    (of_number(errno.ENOMEM), FaultClass.OUT_OF_MEMORY),
    (
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        FaultClass.OUT_OF_MEMORY,
    ),
    (
        RuntimeError(
            "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
            "dataloader's workers are out of shared memory."
        ),
        FaultClass.OUT_OF_MEMORY,
    ),
    # The storage, as Python, a wrapper and a library written in Rust tell it.
    (of_number(errno.ENOSPC), FaultClass.STORAGE_FULL),
    (of_number(errno.EDQUOT), FaultClass.STORAGE_FULL),
    (of_number(errno.EROFS), FaultClass.STORAGE_READ_ONLY),
    (of_number(errno.ESTALE), FaultClass.STORAGE_AWAY),
    (of_number(errno.EIO), FaultClass.STORAGE_AWAY),
    (PermissionError(errno.EACCES, "denied"), FaultClass.PERMISSION),
    (raised_from(SurroundingsError("cannot write"), of_number(errno.EDQUOT)),
     FaultClass.STORAGE_FULL),
    (RuntimeError("I/O error: No space left on device (os error 28)"), FaultClass.STORAGE_FULL),
    (FileNotFoundError(errno.ENOENT, "gone"), FaultClass.PROGRAM),
    # The network and the hub.
    (ConnectionResetError(errno.ECONNRESET, "reset"), FaultClass.NETWORK),
    (TimeoutError("slow"), FaultClass.NETWORK),
    (socket.gaierror(-3, "Temporary failure in name resolution"), FaultClass.NETWORK),
    (ssl.SSLError("bad record"), FaultClass.NETWORK),
    (requests.ConnectionError("no route"), FaultClass.NETWORK),
    (requests.exceptions.ReadTimeout("slow"), FaultClass.NETWORK),
    (httpx2.ConnectError("refused"), FaultClass.NETWORK),
    (httpx2.ReadTimeout("slow"), FaultClass.NETWORK),
    (urllib.error.URLError("unreachable"), FaultClass.NETWORK),
    (urllib.error.HTTPError("https://x", 403, "no", None, None), FaultClass.PERMISSION),
    (answered(503), FaultClass.NETWORK),
    (answered(429), FaultClass.NETWORK),
    (answered(401), FaultClass.PERMISSION),
    (answered(403, GatedRepoError), FaultClass.PERMISSION),
    (answered(404), FaultClass.MISTAKE),
    (raised_from(LocalEntryNotFoundError("nothing cached"), httpx2.ConnectError("refused")),
     FaultClass.NETWORK),
    (raised_from(LocalEntryNotFoundError("nothing cached"), OfflineModeIsEnabled("offline")),
     FaultClass.MISTAKE),
    (raised_from(SurroundingsError("hub"), requests.ConnectionError("no route")),
     FaultClass.NETWORK),
    (OSError("We couldn't connect to 'https://huggingface.co' to load the files"),
     FaultClass.NETWORK),
    (RuntimeError("HTTPSConnectionPool(host='h'): Max retries exceeded with url: /"),
     FaultClass.NETWORK),
    # Accelerators: broken ones, and a kernel's own fault.
    (RuntimeError("CUDA error: uncorrectable ECC error encountered"), FaultClass.GPU),
    (RuntimeError("CUDA error: unknown error"), FaultClass.GPU),
    (RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable"), FaultClass.GPU),
    (RuntimeError("CUDA error: an illegal memory access was encountered"), FaultClass.PROGRAM),
    (RuntimeError("CUDA error: device-side assert triggered"), FaultClass.PROGRAM),
    # Ports and peers.
    (of_number(errno.EADDRINUSE), FaultClass.PORT),
    (torch.distributed.DistNetworkError("EADDRINUSE: address already in use"), FaultClass.PORT),
    (torch.distributed.DistBackendError("NCCL communicator was aborted"), FaultClass.COLLATERAL),
    (
        RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by "
                     "peer [10.0.0.2]:4711"),
        FaultClass.COLLATERAL,
    ),
    # Processes of the job's own.
    (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
     FaultClass.LOST_PROCESS),
    (RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), FaultClass.LOST_PROCESS),
    (concurrent.futures.process.BrokenProcessPool("broken"), FaultClass.LOST_PROCESS),
]  # fmt: skip


@pytest.mark.parametrize(("error", "fault_class"), CASES, ids=lambda value: repr(value)[:60])
def test_whose_fault_an_exception_is(error, fault_class):
    assert class_of(error) is fault_class


def test_what_was_raised_while_a_fault_was_handled_is_that_fault_unless_it_is_hidden():
    def handle(*, hides):
        try:
            try:
                raise of_number(errno.ESTALE)
            except OSError as error:
                if hides:
                    raise RuntimeError("the run ended") from None
                raise RuntimeError("the run ended") from error
        except RuntimeError as error:
            return class_of(error)

    assert handle(hides=False) is FaultClass.STORAGE_AWAY
    assert handle(hides=True) is FaultClass.PROGRAM


def test_a_chain_that_bites_its_tail_ends():
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert class_of(first) is FaultClass.PROGRAM
