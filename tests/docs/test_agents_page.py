"""`docs/agents.md` says of every reason code, exit code and word of JSON what the code has."""

import ast
import json
import re
from pathlib import Path

import pytest

from cluster.errors import UserError, unknown_name
from cluster.fault_classes import FaultClass
from orchestrator.cli import main
from orchestrator.refusals import REFUSALS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/agents.md").read_text()


def codes_in_source():
    """Every literal that is given as a code, or declared by a class."""
    for folder in ("analysis", "cluster", "jobs", "orchestrator"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text()
            if "code" not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                match node:
                    case ast.keyword(arg="code", value=ast.Constant(value=str() as word)):
                        yield word
                    case ast.Assign(targets=[ast.Name(id="default_code")], value=ast.Constant()):
                        yield node.value.value


def test_every_code_that_can_be_given_is_in_the_table_and_nothing_else_is():
    named = re.search(
        r"_NAMED = frozenset\((.*?)\n\)", (ROOT / "cluster/errors.py").read_text(), re.S
    )
    kinds = re.findall(r'"([a-z]+)"', named[1])
    classes = {one.value for one in FaultClass} - {FaultClass.UNKNOWN.value, "mistake"}
    by_place = {"invalid-option", "invalid-study", "invalid-input", "surroundings", "unknown-name"}
    given = {*codes_in_source(), *classes, *by_place, *(f"unknown-{kind}" for kind in kinds)}
    assert given == set(REFUSALS)


def test_the_page_lists_every_code_with_its_meaning_and_next_command():
    for code, refusal in REFUSALS.items():
        words = {"verb": "VERB", "study": "STUDY", "root": "", "again": "the same command"}
        following = refusal.next.format(**words)
        shown = following if following == words["again"] else f"`{following}`"
        assert f"| `{code}` | {refusal.meaning} | {shown} |" in PAGE
    assert len(re.findall(r"^\| `[a-z-]+` \| .* \| .* \|$", PAGE, re.M)) == len(REFUSALS)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (UserError("wrong", where="a.yaml:3"), "invalid-study"),
        (UserError("wrong", where="--cpus"), "invalid-option"),
        (UserError("wrong", where="deltascale launch"), "invalid-option"),
        (UserError("wrong"), "invalid-input"),
        (unknown_name("stage", "x", []), "unknown-stage"),
        (unknown_name("value of axis 'x'", "y", []), "unknown-value"),
        (unknown_name("linear layer", "y", []), "unknown-name"),
        (UserError("no", code="data-missing").at("a.yaml:3"), "data-missing"),
        (UserError("no", fault_class=FaultClass.STORAGE_FULL), "storage-full"),
    ],
)
def test_a_fault_has_the_code_it_was_given_or_that_of_its_class_or_place(fault, code):
    assert fault.code == code and code in REFUSALS


def refused(capsys, *words):
    code = main([*words, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == code
    assert set(found) == {"error", "where", "allowed", "hint", "code", "exit_code", "next"}
    for name in found:
        assert f"| `{name}` |" in PAGE
    return found["code"], found["next"]


def test_what_a_refused_command_answers_is_what_the_page_says(tmp_path, capsys):
    root = str(tmp_path / "root")
    study = tmp_path / "probes.yaml"
    probes = 'p: {kind: probe, over: [i], params: {index: "${i}"}}'
    study.write_text(f"study: probes\naxes: {{i: [0, 1]}}\nstages:\n  {probes}\n")
    status = f"deltascale status probes --root {root}"
    assert main(["launch", str(study), "--root", root, "--executor", "local"]) == 0
    capsys.readouterr()

    assert refused(capsys, "stats") == ("unknown-verb", "deltascale --help")
    assert refused(capsys, "status", "nix", "--root", root) == (
        "unknown-study",
        f"deltascale status --root {root}",
    )
    assert refused(capsys, "launch") == ("invalid-option", "deltascale launch --help")
    assert refused(capsys, "logs", "probes", "p", "--root", root) == (
        "ambiguous-job",
        f"{status} --jobs",
    )
    assert refused(capsys, "logs", "probes", "00000000", "--root", root) == (
        "unknown-job",
        f"{status} --jobs",
    )
    study.write_text("study: probes\nstages: {p: {kind: prob}}\n")
    assert refused(capsys, "plan", str(study), "--root", root)[0] == "unknown-kind"
    study.write_text("study: [\n")
    assert refused(capsys, "plan", str(study), "--root", root) == (
        "invalid-study",
        f"deltascale plan {study} --root {root}",
    )
    study.write_text(
        "study: p\nstages: {p: {kind: prompts, params: {format: text, source: ./x}}}\n"
    )
    assert refused(capsys, "plan", str(study), "--root", root)[0] == "data-missing"


def test_every_field_of_a_status_is_in_the_page(recovered):
    _, status, _ = recovered
    table = PAGE.split("## What `status --json` says")[1].split("## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.M))))
    assert named == set(status)
    for name in ("phase", "since", "health", "ranks", "eta_seconds"):
        assert f"`{name}`" in table


def test_the_worked_recovery_goes_as_the_page_tells_it(recovered):
    shown = [json.loads(one) for one in re.findall(r"^(\{\n.*?^\})$", PAGE, re.M | re.S)]
    first, status, last = recovered
    failure = status["failures"][0]
    for told, found in zip(shown, (first, failure, last), strict=True):
        passing = {"at", "attempt", "node", "seconds"}
        assert list(told) == list(found)
        for name in told.keys() - passing:
            assert told[name] == found[name], name


@pytest.fixture
def recovered(tmp_path, monkeypatch, capsys):
    """The launch that fails, the status after it, and the launch after the study was mended."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DELTASCALE_ROOT", str(tmp_path / "root"))
    (text,) = re.findall(r"^```yaml\n(study: probes.*?)^```$", PAGE, re.M | re.S)
    (tmp_path / "probes.yaml").write_text(text)

    def call(*words, code=0):
        assert main([*words, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    launch = ("launch", "probes.yaml", "--executor", "local")
    first, status = call(*launch, code=1), call("status", "probes")
    (tmp_path / "probes.yaml").write_text(text.replace(", fail: true", ""))
    assert call("plan", "probes.yaml")["totals"]["changed"] == 2
    return first, status, call(*launch)
