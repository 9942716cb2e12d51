"""Whose fault is what a job raised? Exceptions of Python and of the libraries, as a `FaultClass`.

Libraries are told apart by the names of their exceptions and by their words, so that none of them
is imported here. What nobody knows is the program's own fault, as most errors are.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator

from cluster.errors import DeltascaleError
from cluster.fault_classes import FaultClass, class_of_os_error

_NO_MEMORY = re.compile(
    r"can(no|')t allocate memory|DefaultCPUAllocator: not enough memory|std::bad_alloc|"
    # of torch, the driver, Triton, NCCL and other makers' runtimes, in whatever words before it
    r"out[ _]?of[ _]?memory|cudaErrorMemoryAllocation|_ALLOC_FAILED\b|"
    # Handles are made at the first product, and fail where nothing is left for their workspace.
    r"(CUBLAS|CUSPARSE|CUSOLVER|CUDNN)_STATUS_NOT_INITIALIZED\W.*\bcu\w+Create\b|"
    r"Failed to CUDA (host )?(calloc|alloc|malloc)|"
    r"failed to map segment from shared object(?!: Operation not permitted)",
    re.I,
)
"""What torch's allocators, its pinning, compilers of kernels and NVIDIA's libraries say; their
errors have no class of their own."""

_NO_HOST_MEMORY = re.compile(
    r"can(no|')t allocate memory|DefaultCPUAllocator|std::bad_alloc|shared memory|"
    r"\bMemoryError\b|failed to map segment",
    re.I,
)
"""What of these is the host's: the rest is a device's, or may be."""

_WORDS: tuple[tuple[FaultClass, re.Pattern[str]], ...] = (
    (FaultClass.OUT_OF_MEMORY, _NO_MEMORY),
    (FaultClass.OUT_OF_MEMORY, re.compile("workers are out of shared memory")),
    (FaultClass.PORT, re.compile("EADDRINUSE|address already in use", re.I)),
    (
        FaultClass.GPU,
        re.compile(
            r"\bXid\b|uncorrectable (NVLink|ECC)|fallen off the bus|CUDA error: (unknown error|"
            "hardware|system not yet initialized|no CUDA-capable device|.*busy or unavailable|"
            "initialization error|.*contained|.*poison)|CUDA driver initialization failed|"
            "NVML_ERROR_GPU_IS_LOST|GPU is lost|CUDNN_STATUS_INTERNAL_ERROR_DEVICE|"
            "Unable to determine the device handle",
            re.I,
        ),
    ),
    (
        FaultClass.COLLATERAL,
        re.compile(
            r"\bNCCL (error|communicator|WARN|operation)|ncclRemoteError|ncclSystemError|"
            "ncclUnhandledCudaError|Connection (closed|reset) by peer|gloo.*(closed|reset|timed)|"
            "Timed out waiting .* for (recv|send) operation|Watchdog caught collective|"
            "the other ranks? .*(died|gone|left)",
            re.I,
        ),
    ),
    (
        FaultClass.LOST_PROCESS,
        re.compile(r"worker.* (is killed by signal|exited unexpectedly|died)|process pool.*broken"),
    ),
    (
        FaultClass.NETWORK,
        re.compile(
            "Max retries exceeded with url|failure in name resolution|Name or service not known|"
            "couldn't connect to 'http|Connection (refused|aborted)|Network is unreachable|"
            "No route to host",
            re.I,
        ),
    ),
    (FaultClass.STORAGE_AWAY, re.compile("PytorchStreamWriter failed|Stale file handle", re.I)),
    (FaultClass.STORAGE_FULL, re.compile("No space left on device|Disk quota exceeded", re.I)),
    (FaultClass.STORAGE_READ_ONLY, re.compile("Read-only file system", re.I)),
)
"""What errors say that are plain RuntimeErrors, or that came from another process as text."""

_OS_ERROR_OF_RUST = re.compile(r"\(os error (\d+)\)|\[Errno (\d+)\]")

_NAMES: dict[str, FaultClass] = {
    "OutOfMemoryError": FaultClass.OUT_OF_MEMORY,
    "DistBackendError": FaultClass.COLLATERAL,
    "DistNetworkError": FaultClass.COLLATERAL,
    "DistStoreError": FaultClass.COLLATERAL,
    "DistQueueEmptyError": FaultClass.COLLATERAL,
    "BrokenProcessPool": FaultClass.LOST_PROCESS,
    "gaierror": FaultClass.NETWORK,
    "SSLError": FaultClass.NETWORK,
    "GatedRepoError": FaultClass.PERMISSION,
    "LocalTokenNotFoundError": FaultClass.PERMISSION,
    "OfflineModeIsEnabled": FaultClass.MISTAKE,
    "XetDownloadError": FaultClass.NETWORK,
}
"""Names of exceptions that mean one thing, whichever library defines them."""

_OF_THE_NETWORK = frozenset(
    {"aiohttp", "botocore", "httpcore", "httpx", "httpx2", "requests", "urllib", "urllib3", "http"}
)
_NOT_THE_NETWORK = frozenset(
    {"InvalidURL", "InvalidSchema", "MissingSchema", "UnsupportedProtocol"}
)
_OWN_WORDS = (ArithmeticError, AssertionError, LookupError, NameError, TypeError, ValueError)
"""Errors about values, whose words may be the data's: they are not read."""
_BUSY_STATUS = frozenset({408, 409, 425, 429})


def class_of(error: BaseException) -> FaultClass:
    """Return whose fault an exception is, by itself or else by what it was raised from."""
    chain = list(_chain(error))
    for link in chain:
        for look in _LOOKS:
            fault_class = look(link)
            if fault_class is not None:
                return fault_class
    is_ours = any(isinstance(link, DeltascaleError) for link in chain)
    return FaultClass.UNKNOWN if is_ours else FaultClass.PROGRAM


def number_of(error: Exception) -> int | None:
    """Return the number that the operating system gave an error, also one that Rust tells."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if isinstance(error, _OWN_WORDS):
        return None
    told = _OS_ERROR_OF_RUST.search(str(error)[:10_000])
    return int(told[1] or told[2]) if told else None


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether torch, on a device or on the host, or Python found no memory."""
    if isinstance(error, MemoryError) or "OutOfMemoryError" in _names(error):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error)))


def is_of_host(error: BaseException) -> bool:
    """Tell whether memory that ran out was surely the host's, on whatever device a job computes."""
    return any(
        isinstance(link, MemoryError)
        or (isinstance(link, OSError) and link.errno == errno.ENOMEM)
        or bool(_NO_HOST_MEMORY.search(str(link)))
        for link in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from, the error first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _names(error: BaseException) -> frozenset[str]:
    return frozenset(base.__name__ for base in type(error).__mro__)


def _as_ours(error: BaseException) -> FaultClass | None:
    if isinstance(error, DeltascaleError) and error.fault_class is not FaultClass.UNKNOWN:
        return error.fault_class
    return None


def _by_name(error: BaseException) -> FaultClass | None:
    if isinstance(error, MemoryError):
        return FaultClass.OUT_OF_MEMORY
    for base in type(error).__mro__:
        if base.__name__ in _NAMES:
            found = _NAMES[base.__name__]
            # A store of torch's whose port is taken raises what it raises for a lost peer.
            return _by_words(error) or found if found is FaultClass.COLLATERAL else found
    return None


def _by_status(error: BaseException) -> FaultClass | None:
    """Read the HTTP status of an answer that says no."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None and "HTTPError" in _names(error):
        status = getattr(error, "code", None)  # of urllib
    if not isinstance(status, int):
        return None
    if status in (401, 403):
        return FaultClass.PERMISSION
    return FaultClass.NETWORK if status >= 500 or status in _BUSY_STATUS else FaultClass.MISTAKE


def _by_library(error: BaseException) -> FaultClass | None:
    """Take what a library for the network raises without an answer as the network's fault."""
    libraries = {base.__module__.split(".", 1)[0] for base in type(error).__mro__}
    if libraries.isdisjoint(_OF_THE_NETWORK) or _names(error) & _NOT_THE_NETWORK:
        return None
    return FaultClass.NETWORK


def _by_number(error: BaseException) -> FaultClass | None:
    found = class_of_os_error(error) if isinstance(error, OSError) else FaultClass.UNKNOWN
    return None if found is FaultClass.UNKNOWN else found


def _by_words(error: BaseException) -> FaultClass | None:
    if isinstance(error, (DeltascaleError, *_OWN_WORDS)):
        return None
    text = str(error)[:10_000]
    for match in _OS_ERROR_OF_RUST.finditer(text):
        number = int(match[1] or match[2])
        found = class_of_os_error(OSError(number, os.strerror(number)))
        if number != errno.ENOENT and found is not FaultClass.UNKNOWN:
            return found
    return next((found for found, words in _WORDS if words.search(text)), None)


_LOOKS: tuple[Callable[[BaseException], FaultClass | None], ...] = (
    _as_ours,
    _by_name,
    _by_status,
    _by_number,
    _by_library,
    _by_words,
)
