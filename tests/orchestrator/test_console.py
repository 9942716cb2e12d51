"""Standard output holds answers, and nothing that libraries print while a verb runs."""

import json
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[2]

LOUD = """
import logging, sys
from orchestrator.console import say_json, taken_for_answers
with taken_for_answers():
    print("a library prints")
    logging.getLogger("loud").addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger("loud").warning("a library logs")
    say_json({"held": True})
print("afterwards")
"""


def run(*words, **more):
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=TOP, timeout=120, **more
    )


def test_what_libraries_print_is_no_part_of_an_answer():
    done = run("-c", LOUD)
    answer, afterwards = done.stdout.rsplit("}", 1)
    assert json.loads(answer + "}") == {"held": True}
    assert afterwards == "\nafterwards\n"
    assert done.stderr.splitlines() == ["a library prints", "a library logs"]


def test_help_is_an_answer():
    done = run("-m", "orchestrator.cli", "plan", "--help")
    assert done.stdout.startswith("usage: deltascale plan") and done.stderr == ""
