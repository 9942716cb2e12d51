"""Asks the nodes of the allocation of SLURM that this process runs in: a task on each, by srun."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from cluster.errors import SurroundingsError
from cluster.fitness.asked_nodes import Asked, AskedNode
from cluster.fitness.looking import Answer, answer_of
from cluster.machine.resources import Resources

JOB = "SLURM_JOB_ID"
"""Variable that SLURM sets in an allocation."""
_NODES = "SLURM_JOB_NODELIST"
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from cluster.fitness.looking import main_on_node; main_on_node()"
)
_MACHINE = "cluster.fitness.looks.machine:look"
_STARTED_WITHIN_S = 60.0
"""How long SLURM may take to start a task on every node: it is asked for each look."""
_LISTED_WITHIN_S = 20.0


class NodesOfAllocation:
    """The nodes of this allocation; jobs of it that run meanwhile keep theirs (`--overlap`)."""

    def __init__(self) -> None:
        """Find the nodes, and ask each what it offers.

        Raises:
            SurroundingsError: SLURM does not say which nodes there are.
        """
        names = _hosts(os.environ[_NODES])
        here = os.environ.get("SLURMD_NODENAME") or socket.gethostname().partition(".")[0]
        self.nodes: Sequence[AskedNode] = [
            AskedNode(
                name=name,
                identifier=name,
                address=_address(name),
                offers=Resources(num_cpus=0),
                is_here=name == here,
            )
            for name in names
        ]
        answers = self.ask(_MACHINE, {}, 30)
        self.nodes = [_with_offer(node, answers[node.name]) for node in self.nodes]

    def ask(
        self, look: str, asked: Asked | Callable[[AskedNode], Asked], limit_s: float
    ) -> dict[str, Answer]:
        """Ask every node at once, by one srun."""
        words = {node.name: asked(node) if callable(asked) else asked for node in self.nodes}
        question = json.dumps({"look": look, "asked": words, "limit_s": limit_s})
        number = str(len(self.nodes))
        tasks = ["--nodes", number, "--ntasks", number, "--ntasks-per-node", "1"]
        command = ["srun", "--overlap", "--quiet", "--kill-on-bad-exit=0", *tasks]
        program = [sys.executable, "-P", "-c", _CODE, json.dumps(sys.path)]
        try:
            process = subprocess.Popen(
                [*command, *program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            return dict.fromkeys(words, Answer(fault=f"srun: {error.strerror}"))
        try:
            out, err = process.communicate(question, limit_s + _STARTED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        return _answers(out, err, words, limit_s)

    def close(self) -> None:
        """Do nothing: each look's tasks have ended."""


def _answers(out: str, err: str, names: Mapping[str, object], limit_s: float) -> dict[str, Answer]:
    """Read a line of JSON from each task; what srun complains of is the fault of the others."""
    last = next((line for line in reversed(err.splitlines()) if "error" in line), "")
    silent = Answer(fault=last.strip() or f"no answer within {limit_s:g} s")
    answers = dict.fromkeys(names, silent)
    for line in out.splitlines():
        with suppress(ValueError, KeyError, TypeError):
            name = json.loads(line)["node"]
            if name in answers:
                answers[name] = answer_of(line)
    return answers


def _hosts(text: str) -> list[str]:
    """Return the names in a list such as `n[1-3]`. Raises SurroundingsError."""
    words = ["scontrol", "show", "hostnames", text]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_LISTED_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SurroundingsError(f"scontrol does not answer: {error}", where=_NODES) from error
    if done.returncode != 0 or not done.stdout.split():
        raise SurroundingsError(f"scontrol knows no nodes: {done.stderr.strip()}", where=_NODES)
    return done.stdout.split()


def _address(name: str) -> str | None:
    with suppress(OSError):
        return socket.gethostbyname(name)
    return None


def _with_offer(node: AskedNode, answer: Answer) -> AskedNode:
    offers = Resources(**answer.value) if answer.value is not None else node.offers
    return AskedNode(
        name=node.name,
        identifier=node.identifier,
        address=node.address,
        offers=offers,
        is_here=node.is_here,
    )
