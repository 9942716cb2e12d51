"""What a command line costs the machine it is typed at: memory, and heavy libraries imported."""

import sys

HEAVY = (
    "accelerate",
    "datasets",
    "deepspeed",
    "matplotlib",
    "pandas",
    "ray",
    "scipy",
    "sklearn",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
    "wandb",
)
MOST_MB = 200
"""What one command may take on a login node, which is everybody's."""
_LOOK = """
import sys
from pathlib import Path
from orchestrator.cli import main
code = main(sys.argv[2:])
heavy = [name for name in sys.argv[1].split(",") if name in sys.modules]
# Not getrusage: its figure begins with that of the process that started this one.
status = Path("/proc/self/status").read_text()
mb = int(status.partition("VmHWM:")[2].split()[0]) // 1024
print("", code, mb, *heavy, sep="\\n", file=sys.stderr)
"""


def weighed(*words: str) -> list[str]:
    """Return the command that runs `deltascale` and then writes what it cost."""
    return [sys.executable, "-c", _LOOK, ",".join(HEAVY), *words]


def require_light(errors: str) -> None:
    """Check what a weighed command wrote: it ended well, imported nothing heavy, took little."""
    code, mb, *heavy = errors.rpartition("\n\n")[2].split()
    assert code == "0", errors
    assert not heavy
    assert int(mb) <= MOST_MB, f"{mb} MB"
