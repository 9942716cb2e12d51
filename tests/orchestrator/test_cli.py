import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli import main, verb_names

COMMAND = [sys.executable, "-m", "orchestrator.cli"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
@pytest.mark.parametrize("words", [["schema"], ["schema", "--of", "table"]])
def test_what_cannot_be_printed_is_one_message_and_no_success(words):
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, check=False)
    told = ended.stderr.decode()
    assert ended.returncode == 3
    assert told.startswith("deltascale: cannot write: No space left on device\n")
    assert len(told.splitlines()) == 2


def fault(capsys, *words):
    """What a command line that is wrong answers in JSON."""
    assert main([*words, "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer.keys() == {"error", "where", "allowed", "hint"}
    return answer


def test_an_unknown_verb_is_answered_with_all_verbs_and_the_nearest(capsys):
    answer = fault(capsys, "lanch", "study.yaml")
    assert "'lanch'" in answer["error"]
    assert set(answer["allowed"]) == set(verb_names())
    assert "'launch'" in answer["hint"]


@pytest.mark.parametrize(
    ("words", "error", "where", "allowed", "hint"),
    [
        (["plan", "--machin3s", "1x0", "s"], "'--machin3s'", "plan", "--all", "'--machines'"),
        (["launch", "--adress=x"], "'--adress'", "launch", "--only", "'--address'"),
        (["schema", "--of", "tabel"], "'tabel'", "schema --of", "table", "'table'"),
        (["--verison"], "'--verison'", "deltascale", "--help", "'--version'"),
    ],
)
def test_an_unknown_option_or_value_is_answered_with_those_there_are(
    capsys, words, error, where, allowed, hint
):
    answer = fault(capsys, *words)
    assert error in answer["error"]
    assert answer["where"].endswith(where)
    assert allowed in answer["allowed"]
    assert hint in answer["hint"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["launch"], "STUDY"),
        (["logs", "study"], "JOB"),
        (["plan", "study", "other"], "'other'"),
        (["plan", "study", "-z"], "'-z'"),
        (["compare", "study", "--depth", "deep"], "'deep'"),
        (["plan", "study", "--root"], "missing"),
    ],
)
def test_missing_or_surplus_arguments_are_named(capsys, words, error):
    answer = fault(capsys, *words)
    assert error in answer["error"]
    assert answer["where"].startswith(f"deltascale {words[0]}")
    assert "--help" in answer["hint"]


def test_a_mistake_is_a_few_lines_and_no_dump_of_the_usage(capsys):
    assert main(["launch", "--adress", "x"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage" not in said.err
    assert len(said.err.splitlines()) == 4


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_without_a_verb_the_help_lists_every_verb_in_the_order_of_a_study(capsys, words):
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert listed == verb_names()
    assert listed.index("new") < listed.index("plan") < listed.index("launch")


def test_the_version_names_the_commit_and_the_libraries_without_importing_them():
    code = (
        "import sys; from orchestrator.cli import main; main(['--version', '--json']);"
        "assert not {'torch', 'ray', 'transformers', 'trl'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    versions = json.loads(done.stdout)
    assert versions["python"] == sys.version.split()[0]
    assert {"deltascale", "commit", "torch", "ray", "transformers", "trl"} < versions.keys()
    if (Path(__file__).parents[2] / ".git").exists():
        assert len(versions["commit"].rstrip("+")) == 12
