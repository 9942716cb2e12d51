"""Writes the batch script of one allocation: commented, quoted, and all that is run.

What a user or a study chose stands in quoted assignments at the top; the shell below them
(`script_parts.py`) is the same for everybody.
"""

import re
import shlex
from collections.abc import Iterable

from cluster.slurm import script_parts
from cluster.slurm.batch_request import (
    MOST_SCRATCH_LETTERS,
    BatchRequest,
    Explained,
    Placeholder,
    Setup,
    Words,
)

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


def write_script(request: BatchRequest) -> str:
    """Write the script of an allocation. The same request gives the same text."""
    parts = [
        "\n".join(
            [
                *_head(request),
                "",
                *_settings(request),
                *_setup(request.setup),
                *_commands(request),
            ]
        )
        + "\n",
        script_parts.TALK,
        script_parts.ENDED_BEFORE,
        script_parts.NODE,
        script_parts.SIGNALS,
        script_parts.AGAIN,
        script_parts.SYMMETRIC if request.is_symmetric else script_parts.GUARDED,
        script_parts.COORDINATE_SYMMETRIC if request.is_symmetric else script_parts.COORDINATE,
        script_parts.ENDING,
    ]
    return "".join(parts)


def _head(request: BatchRequest) -> list[str]:
    """Return the head: what is asked of SLURM, and where that comes from."""
    nodes = request.nodes
    gres = nodes.gres or (f"gpu:{nodes.gpus}" if nodes.gpus else None)
    return [
        "#!/bin/bash",
        f"# {_one_line(request.title)}",
        "# Written by deltascale, and all that it runs. To go on: `deltascale launch` again.",
        "",
        f"#SBATCH --job-name={request.name}",
        *_option("account", request.account),
        *_option("partition", request.partition),
        *_option("qos", request.qos),
        f"#SBATCH --nodes={nodes.count}",
        "#SBATCH --ntasks-per-node=1",
        f"#SBATCH --cpus-per-task={nodes.cpus}",
        *_option("gres", gres),
        *(["#SBATCH --exclusive"] if nodes.is_exclusive else []),
        *_explained_option("mem", request.memory),
        *_explained_option("time", request.time),
        f"# {request.save_s} s before the time limit this script gets a signal, and has jobs save.",
        f"#SBATCH --signal=B:USR1@{request.save_s}",
        "#SBATCH --requeue" if request.is_requeued else "#SBATCH --no-requeue",
        "#SBATCH --open-mode=append",
        f'#SBATCH --output="{_percent(request.output)}"',
        *(f"#SBATCH {option}" for option in request.options),
    ]


def _settings(request: BatchRequest) -> list[str]:
    """Return what the shell below works with."""
    setup, nodes = request.setup, request.nodes
    labels = ",".join(f"{name}={value}" for name, value in nodes.labels.items())
    return [
        "# ---- What this launch works with",
        f"python={shlex.quote(setup.python)}",
        f"state={shlex.quote(request.state_folder)}   # what its starts remember",
        f"earlier={shlex.quote(request.earlier_folder or '')}   # those of the allocation before",
        f"stopped={shlex.quote(_parent(request.state_folder) + '/stopped')}",
        "# what every node needs to know",
        f"export cpus={nodes.cpus} gpus={nodes.gpus} labels={shlex.quote(labels)}",
        f"export scratch={shlex.quote(setup.scratch or '')} most_letters={MOST_SCRATCH_LETTERS}",
        f"export interface={shlex.quote(setup.interface or '')}",
        f"save_s={request.save_s}",
        f"most_idle_starts={request.most_idle_starts}",
        f"most_wait_s={request.most_wait_s}",
    ]


def _setup(setup: Setup) -> list[str]:
    """Return the lines that set up the environment; nodes that srun reaches inherit it."""
    lines = ["", "# ---- The environment, as the profile says"]
    lines += [f"module load {shlex.quote(name)} || exit 3" for name in setup.modules]
    if setup.venv:
        lines.append(f"source {shlex.quote(setup.venv + '/bin/activate')} || exit 3")
    lines += list(setup.lines)
    lines += [f"export {name}={shlex.quote(value)}" for name, value in setup.variables.items()]
    if setup.code:
        lines.append(f'export PYTHONPATH={shlex.quote(setup.code)}"${{PYTHONPATH:+:$PYTHONPATH}}"')
    lines += [
        'export PATH="$(dirname "$python"):$PATH"   # where `ray` is',
        "unset RAY_ADDRESS RAY_AUTH_TOKEN RAY_AUTH_TOKEN_PATH RAY_TMPDIR",
        "unset RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
        "unset SLURM_CLUSTERS   # a job asks its own cluster of itself",
        "export RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0 RAY_USAGE_STATS_ENABLED=0 "
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=5",
    ]
    inside = f"apptainer exec --nv {shlex.quote(setup.image)} " if setup.image else ""
    lines.append(f'inside() {{ exec {inside}"$@"; }}')
    return lines


def _commands(request: BatchRequest) -> Iterable[str]:
    """Return the functions that run the command, its first start, and the count of progress."""
    progress = _words(request.progress_command)
    yield ""
    yield "# ---- What runs, on the first node"
    yield f"launch() {{ inside {_words(request.command)}; }}"
    yield f"first_launch() {{ inside {_words(request.first_command or request.command)}; }}"
    yield f"progress() {{ {f'inside {progress}' if progress else ':'}; }}   # a number that grows"


def _words(words: Words) -> str:
    return " ".join(
        f'"{word.value}"' if isinstance(word, Placeholder) else shlex.quote(word) for word in words
    )


def _option(name: str, value: str | None) -> list[str]:
    return [] if value is None else [f"#SBATCH --{name}={value}"]


def _explained_option(name: str, asked: Explained | None) -> list[str]:
    if asked is None:
        return []
    return [f"# {_one_line(asked.why)}", f"#SBATCH --{name}={asked.value}"]


def _one_line(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)


def _percent(path: str) -> str:
    """Keep what SLURM would replace in a path, but for the job's id at its end."""
    folder, _, name = path.rpartition("/")
    return f"{folder.replace('%', '%%')}/{name}"


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
