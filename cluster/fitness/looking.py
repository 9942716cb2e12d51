"""Runs a look in a process of its own, so that one that hangs or crashes costs only its answer.

A look is a function `package.module:function` that takes and returns a dictionary as JSON has it.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from cluster.executor import Surroundings
from cluster.redaction.redactor import redacted

_CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); {}; main()"
_MOST_LETTERS = 200
_ENDED_WITHIN_S = 1.0
"""How long a killed process is waited for; one that waits for a dead disk never ends."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a look saw, or why it saw nothing."""

    value: Mapping[str, Any] | None = None
    """What it returned."""
    fault: str | None = None
    """Why it returned nothing, in a phrase."""


def look_in_process(look: str, asked: Mapping[str, object], limit_s: float) -> Answer:
    """Run a look in a process of its own on this machine, for so long at most."""
    code = _CODE.format(f"from {__name__} import main")
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code, json.dumps(_absolute_path())],
        cwd=os.sep,  # a worker's own folder may be replaced under it, and MKL then ends the process
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(json.dumps({"look": look, "asked": asked}), limit_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDED_WITHIN_S)
        return Answer(fault=f"no answer within {limit_s:g} s")
    return _read(out, err, process.returncode)


def _absolute_path() -> list[str]:
    """Return where this process finds modules, from whatever folder."""
    places = []
    for place in sys.path:
        with suppress(FileNotFoundError):  # of a folder that has gone
            places.append(os.path.abspath(place))
    return places


def main() -> None:
    """Answer what standard input asks: one line of JSON on standard output, and nothing else."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print where they like
    asked = json.load(sys.stdin)
    try:
        module, _, function = asked["look"].partition(":")
        answer = Answer(value=getattr(import_module(module), function)(asked["asked"]))
    except Exception as error:  # whatever it is, it is why nothing was seen
        answer = Answer(fault=_phrase(f"{type(error).__name__}: {error}"))
    answers.write(json.dumps(asdict(answer)) + "\n")
    answers.flush()
    os._exit(0)  # threads of libraries may wait for what will never come


def answer(payload: str, surroundings: Surroundings) -> str:
    """Run a look on the node of an executor's call: the entry point of such calls.

    Args:
        payload: JSON of `look`, `asked` and `limit_s`.
        surroundings: not needed.
    """
    del surroundings
    asked = json.loads(payload)
    return json.dumps(asdict(look_in_process(asked["look"], asked["asked"], asked["limit_s"])))


def main_on_node() -> None:
    """Answer what standard input asks the node of this task of SLURM, as one line of JSON."""
    asked = json.load(sys.stdin)
    node = os.environ["SLURMD_NODENAME"]
    answer = look_in_process(asked["look"], asked["asked"][node], asked["limit_s"])
    print(json.dumps({"node": node, **asdict(answer)}), flush=True)  # noqa: T201  it is the answer


def answer_of(text: str) -> Answer:
    """Read what `answer` or `main` wrote. Raises ValueError."""
    fields = json.loads(text)
    return Answer(value=fields["value"], fault=fields["fault"])


def _read(out: str, err: str, code: int) -> Answer:
    with suppress(ValueError, KeyError, TypeError):
        return answer_of(out)
    how = f"ended with exit code {code}"
    if code < 0:
        with suppress(ValueError):
            how = f"ended by {signal.Signals(-code).name}"
    last = next((line for line in reversed(err.splitlines()) if line.strip()), "")
    return Answer(fault=_phrase(f"{how}{f': {last.strip()}' if last else ''}"))


def _phrase(text: str) -> str:
    first = (redacted(text).strip() or "no message").splitlines()[0]
    return first if len(first) <= _MOST_LETTERS else f"{first[:_MOST_LETTERS]}…"
