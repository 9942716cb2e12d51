"""Whether kernels can be built where a job trains: a C compiler, Python's headers, and a folder.

On a GPU, TRL computes log-probabilities by kernels of Triton's. Triton builds what starts them with
the machine's C compiler at the first step, long after the model is loaded (its `runtime/build.py`,
whose choice of compiler and headers this is).
"""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from tempfile import TemporaryFile

from cluster.disk.temp_folders import TempFolder, lasting_folder
from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.home import home_folder

CACHE = "TRITON_CACHE_DIR"
"""The variable that names the folder in which Triton keeps what it has built."""
_SOURCE = "#include <stdlib.h>\n#include <Python.h>\nint tried(void) { return 0; }\n"
_LIMIT_S = 120.0
_MOST_OF_REASON = 300
_HINT = (
    "install gcc, the C library's headers and those of this Python on every machine with GPUs "
    "(Debian: gcc libc6-dev python{version}-dev; conda: gcc_linux-64), or name a compiler in CC"
)


def require_compiler() -> None:
    """Require that a file with Python's headers compiles; let what is built be kept somewhere.

    Triton keeps it in the home. Where that takes no files (it is full, read-only, or not there), it
    is told to keep it in the temp folder.

    Raises:
        SurroundingsError: there is no compiler, no header, or it does not compile.
    """
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or shutil.which(compiler) is None:
        what = "no gcc and no clang" if compiler is None else f"no {compiler!r}, which CC names,"
        raise _unable(f"{what} is on the PATH of this machine")
    headers = Path(_headers())
    if not (headers / "Python.h").is_file():
        raise _unable(f"the headers of Python are not installed: there is no {headers}/Python.h")
    with TempFolder("compiler") as folder:
        source = folder / "tried.c"
        source.write_text(_SOURCE, encoding="ascii")
        command = [compiler, str(source), "-shared", "-fPIC", f"-I{headers}", "-o"]
        try:
            done = subprocess.run(
                [*command, str(folder / "tried.so")],
                capture_output=True,
                text=True,
                timeout=_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise _unable(f"{compiler} does not run: {fault}") from fault
    if done.returncode:
        reason = " ".join(done.stderr.split())[:_MOST_OF_REASON]
        raise _unable(f"{compiler} cannot compile a file with Python's headers: {reason}")
    kept = Path(os.environ.get("TRITON_HOME") or home_folder(), ".triton")
    if not os.environ.get(CACHE) and not _takes_files(kept):
        os.environ[CACHE] = str(lasting_folder("triton"))


def _takes_files(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            file.write(b"tried")
            file.flush()
    except OSError:
        return False
    return True


def _headers() -> str:
    """Return the folder of Python.h; Debian's own scheme names one that nothing is installed to."""
    scheme = sysconfig.get_default_scheme()
    return sysconfig.get_paths("posix_prefix" if scheme == "posix_local" else scheme)["include"]


def _unable(why: str) -> SurroundingsError:
    version = sysconfig.get_python_version()
    return SurroundingsError(
        f"training on a GPU builds kernels, and cannot here: {why}",
        hint=_HINT.format(version=version),
        fault_class=FaultClass.MISTAKE,
    )
