"""The fuzzers' own judgement: what they must call a fault is called one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import mutation

_REPOSITORY = Path(__file__).parents[2]
_JUDGE = """
import sys, json, tempfile, os
from pathlib import Path
from tests.fuzz import run
class Fuzzer:
    def case(self, rng, work):
        {deed}
with tempfile.TemporaryDirectory() as place:
    run._set_up(Path(place))
    run.MOST_SECONDS = 0.3
    os.chdir(place + "/work")
    fault = run._case(Fuzzer(), run.Watch(), Path(place), 0)
print(json.dumps(fault and fault["kind"]))
"""


@pytest.mark.parametrize(
    ("deed", "kind"),
    [
        ("pass", None),
        ("(work / 'a').write_text('x'); (work / 'a').unlink(); (work / 'b').mkdir()", None),
        ("open('/dev/null', 'w').close(); open('inside', 'w').close()", None),
        ("1 / 0", "traceback"),
        ("raise MemoryError", "memory"),
        ("while True: pass", "hang"),
        ("(work.parent / 'beside').write_text('x')", "outside"),
        ("(work.parent / 'given/new').mkdir()", "outside"),
        ("open('../home/x', 'w').close()", "outside"),
        ("(work / 'x').write_text(''); os.rename('x', '../x')", "outside"),
        ("os.symlink('x', '../y')", "outside"),
        ("at = os.open('..', os.O_RDONLY); os.mkdir('z', dir_fd=at)", "outside"),
        ("run.command('plan', 'nothing.yaml')", None),
        ("import orchestrator.verbs.new as new; new.run = lambda o: 1 / 0; run.command('new', 'x')",
         "traceback"),
    ],
)  # fmt: skip
def test_a_case_is_judged_by_what_it_does(deed: str, kind: str | None) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE.format(deed=deed)],
        env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr[-2000:]
    assert json.loads(done.stdout) == kind


def test_a_seed_makes_the_same_case_again() -> None:
    document = json.dumps({"a": [1, {"b": "c"}], "d": None}).encode()
    for change in (mutation.changed_json, mutation.changed_bytes):
        assert [change(document, Random(seed)) for seed in range(50)] == [
            change(document, Random(seed)) for seed in range(50)
        ]
