"""Which variables may a process that runs jobs see, and which of them are secret?

An allow-list: what libraries that jobs call read, and nothing else of what a shell, a scheduler or
another program left around. What is secret is set apart, so that whoever starts processes hands it
to those alone that run jobs.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cluster.machine.left_over_variables import is_setting
from cluster.redaction.secret_names import is_secret_name


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_NAMES = _words(
    # the user and the machine
    "PATH HOME USER LOGNAME SHELL HOSTNAME PWD LANG LANGUAGE TZ TERM COLUMNS NO_COLOR TMPDIR TMP "
    "TEMP VIRTUAL_ENV KRB5CCNAME NETRC "
    # networks: certificates and proxies
    "SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE "
    "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy "
    # what compiles kernels
    "CC CXX CFLAGS CXXFLAGS LDFLAGS MAX_JOBS NINJA_STATUS GLIBC_TUNABLES"
)
_PREFIXES = _words(
    "LC_ XDG_ CONDA_ LD_ DYLD_ PYTHON MALLOC_ MPL COVERAGE_ "
    # accelerators and what passes between them
    "CUDA NVIDIA_ CUBLAS CUDNN NCCL_ GLOO_ UCX_ FI_ ROCR_ ROCM_ HIP_ HSA_ RCCL_ "
    # arithmetic
    "OMP_ KMP_ GOMP_ MKL_ OPENBLAS_ BLIS_ NUMEXPR_ VECLIB_ TORCH PYTORCH_ TRITON_ "
    # models, data, storage, mirror
    "HF_ HUGGINGFACE_ HUGGING_FACE_ TRANSFORMERS_ TOKENIZERS_ DATASETS_ SAFETENSORS_ ACCELERATE_ "
    "DEEPSPEED_ DS_ BITSANDBYTES_ BNB_ PEFT_ TRL_ AWS_ FSSPEC_ WANDB_ "
    "RAY_ DELTASCALE_"
)
_CREDENTIALS_IN_VALUE = re.compile(r"://[^/\s@]{1,512}@")


@dataclass(frozen=True, kw_only=True)
class WorkerEnvironment:
    """The variables that processes which run jobs may see."""

    plain: Mapping[str, str]
    """Name -> value of what may stand in any process of the cluster."""
    secret: Mapping[str, str]
    """Name -> value of what only a process that runs jobs may hold."""

    @property
    def all(self) -> dict[str, str]:
        """Both."""
        return {**self.plain, **self.secret}


def worker_environment(
    environment: Mapping[str, str], *, also: Collection[str] = (), keys: Collection[str] = ()
) -> WorkerEnvironment:
    """Choose what processes that run jobs may see of an environment.

    Args:
        environment: name -> value, as this process has it.
        also: names that the user allows besides; one that ends in `*` allows all that begin so.
        keys: names of variables that a study reads keys of services from: secret, whatever they
            are called.
    """
    allowed = {
        name: value
        for name, value in environment.items()
        if name in keys or _is_allowed(name) or any(_matches(name, pattern) for pattern in also)
    }
    secret = {
        name: value
        for name, value in allowed.items()
        if name in keys or is_secret_name(name) or _CREDENTIALS_IN_VALUE.search(value)
    }
    return WorkerEnvironment(
        plain={name: value for name, value in allowed.items() if name not in secret},
        secret=secret,
    )


def _is_allowed(name: str) -> bool:
    return (name in _NAMES or name.startswith(_PREFIXES)) and not is_setting(name)


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
