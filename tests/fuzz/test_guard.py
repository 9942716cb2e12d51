"""The fuzzers' own judgement: what they must call a fault is called one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

from tests.fuzz import mutation

_REPOSITORY = Path(__file__).parents[2]
_JUDGE = """
import json, os, sys, tempfile
from pathlib import Path
from tests.fuzz import run
class Fuzzer:
    def case(self, rng, work):
        exec(self.deed, {"run": run, "os": os, "work": work})
watch, fuzzer = run.Watch(), Fuzzer()
run.MOST_SECONDS = 3
for fuzzer.deed in json.loads(sys.argv[1]):
    with tempfile.TemporaryDirectory() as place:
        run._set_up(Path(place))
        os.chdir(place + "/work")
        fault = run._case(fuzzer, watch, Path(place), 0)
        os.chdir("/")
    print(json.dumps(fault and fault["kind"]))
"""
_DEEDS = {
    "pass": None,
    "(work / 'a').write_text('x'); (work / 'a').unlink(); (work / 'b').mkdir()": None,
    "open('/dev/null', 'w').close(); open('inside', 'w').close()": None,
    "1 / 0": "traceback",
    "raise MemoryError": "memory",
    "while True: pass": "hang",
    "(work.parent / 'beside').write_text('x')": "outside",
    "(work.parent / 'given/new').mkdir()": "outside",
    "open('../given/x', 'w').close()": "outside",
    "(work / 'x').write_text(''); os.rename('x', '../x')": "outside",
    "os.symlink('x', '../y')": "outside",
    "at = os.open('..', os.O_RDONLY); os.mkdir('z', dir_fd=at)": "outside",
    "(work / 'l').symlink_to('../outside/file'); (work / 'l').write_text('x')": "outside",
    "(work / 'l').symlink_to('../outside/new'); open('l', 'a').close()": "outside",
    "(work / 'l').symlink_to('../outside'); (work / 'l/new').write_text('x')": "outside",
    "(work / 'l').symlink_to('../outside/file'); os.chmod('l', 0o600)": "outside",
    "(work / 'l').symlink_to('../outside/file'); open('l').close(); os.unlink('l')": None,
    "at = os.open('../outside', 0); os.close(os.open('z', os.O_CREAT, dir_fd=at))": "outside",
    "at = os.open('../outside', 0); os.write(os.open('file', 1, dir_fd=at), b'[]')": "outside",
    "at = os.open('.', 0); os.close(os.open('z', os.O_CREAT, dir_fd=at))": None,
    "run.command('plan', 'nothing.yaml')": None,
    "import orchestrator.verbs.new as new; new.run = lambda o: 1 / 0; run.command('new', 'x')": (
        "traceback"
    ),
}


def test_a_case_is_judged_by_what_it_does() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE, json.dumps(list(_DEEDS))],
        env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    judged = [json.loads(line) for line in done.stdout.splitlines()]
    assert dict(zip(_DEEDS, judged, strict=True)) == _DEEDS


def test_a_seed_makes_the_same_case_again() -> None:
    document = json.dumps({"a": [1, {"b": "c"}], "d": None}).encode()
    for change in (mutation.changed_json, mutation.changed_bytes):
        assert [change(document, Random(seed)) for seed in range(50)] == [
            change(document, Random(seed)) for seed in range(50)
        ]
