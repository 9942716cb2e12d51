"""Whatever is written into what we read: one message and a code of ours, never a traceback.

Nothing hangs, takes all memory, or is written outside the root. A case is made again by its seed:
`python -m tests.fuzz.run FUZZER --cases 1 --seed SEED`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.run import FUZZERS, MOST_WAITING_S

_REPOSITORY = Path(__file__).parents[2]
_FEW = {"studies": 15, "root_files": 0, "checkpoints": 0, "data_files": 150, "command_lines": 40}
"""Cases of the default run: a first look; those of damaged roots and models take long to set up."""
_MANY = {
    "studies": 5000,
    "root_files": 800,
    "checkpoints": 3700,
    "data_files": 8000,
    "command_lines": 2500,
}


def faults_of(fuzzer: str, num_cases: int, seed: int, at_most_s: float) -> list[dict[str, object]]:
    """Run cases in a process of their own and return those that ended as none may."""
    words = [sys.executable, "-m", "tests.fuzz.run", fuzzer]
    done = subprocess.run(
        [*words, "--cases", str(num_cases), "--seed", str(seed)],
        cwd=_REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=at_most_s,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert answers and answers[-1].get("cases") == num_cases, done.stderr[-3000:]
    return answers[:-1]


@pytest.mark.parametrize("fuzzer", [name for name in FUZZERS if _FEW[name]])
def test_a_first_few_cases_end_as_they_may(fuzzer: str) -> None:
    assert faults_of(fuzzer, _FEW[fuzzer], seed=1, at_most_s=600) == []


@pytest.mark.slow
@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_twenty_thousand_cases_end_as_they_may(fuzzer: str) -> None:
    assert sum(_MANY.values()) == 20_000
    faults = []
    for seed in range(10**6, 10**6 + _MANY[fuzzer], 500):
        num_cases = min(500, 10**6 + _MANY[fuzzer] - seed)
        faults += faults_of(fuzzer, num_cases, seed, at_most_s=num_cases * MOST_WAITING_S)
    assert faults == []
