"""Python's indexing asks for a guard of the device, which a torch without CUDA has not.

One line of C++ registers one, compiled once for a torch.
"""

import hashlib
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch

from tests.not_tested import COMPILER

GUARD = """#include <c10/core/impl/DeviceGuardImplInterface.h>
C10_REGISTER_GUARD_IMPL(CUDA, c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA>)
"""


@cache
def register_guard():
    """Compile the guard, unless this torch's is there, and load it into this process."""
    home = Path(torch.__file__).parent
    digest = hashlib.sha256(f"{torch.__version__}\n{GUARD}".encode()).hexdigest()[:16]
    cached = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "deltascale-tests"
    library = cached / f"cuda-guard-{digest}.so"
    if not library.is_file():
        cached.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached) as folder:
            (Path(folder) / "guard.cpp").write_text(GUARD)
            words = [COMPILER, "-std=c++20", "-shared", "-fPIC", f"-I{home / 'include'}"]
            words += ["guard.cpp", "-o", "guard.so", f"-L{home / 'lib'}", "-lc10"]
            subprocess.run(words, cwd=folder, check=True)
            (Path(folder) / "guard.so").replace(library)
    torch.ops.load_library(library)
