"""A mistyped option of `compare` is answered once: which option, what is allowed, what is near."""

import os
import pty
import subprocess
import sys
import termios
from contextlib import suppress

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.views.several_studies import gather_studies

STUDY = """
study: small
stages:
  base: {kind: pretrain,
         params: {config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1},
                  format: nursery, steps: 1, learning_rate: 1e-3}}
  texts: {kind: prompts, params: {format: nursery}}
  rates: {kind: behave, inputs: {model: base, prompts: texts}}
  table: {kind: compare, gather: [rates], per: []}
"""
SNAPSHOTS = """
axes: {snapshot: [step-1, end]}
study: dosed
stages:
  base: {kind: pretrain,
         params: {config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1},
                  format: nursery, steps: 1, learning_rate: 1e-3}}
  pairs: {kind: pairs, params: {format: nursery}}
  reference: {kind: reference, inputs: {model: base, pairs: pairs}}
  aligned: {kind: align, inputs: {model: base, pairs: pairs, reference: reference},
            params: {objective: dpo, steps: 2, snapshots: {steps: [1]}}}
  dosed: {kind: snapshot, over: [snapshot], inputs: {aligned: aligned},
          params: {snapshot: "${snapshot}"}}
  texts: {kind: prompts, params: {format: nursery}}
  rates: {kind: behave, inputs: {model: dosed, prompts: texts}}
  table: {kind: compare, gather: [rates], per: []}
"""


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ["--contrast", "dpo-sft"],
            [
                "'dpo-sft' is not AXIS=FIRST-SECOND, such as objective=dpo-sft",
                "  where:   --contrast",
            ],
        ),
        (
            ["--answers", "--where", "model=a"],
            ["answers are of all that the study measured", "  where:   --where"],
        ),
        (["--at", "kl"], ["'kl' is not DOSE=VALUE", "  where:   --at", "  hint:    such as"]),
        (["--at", "kl=nan"], ["'kl=nan' is not DOSE=VALUE", "  where:   --at"]),
        (["--at", "kl=0"], ["a dose is a number above 0, the base's; 0.0", "  where:   --at"]),
        (
            ["--at", "kl_per_token=1"],
            [
                "unknown dose 'kl_per_token'",
                "  where:   --at",
                "  allowed: kl, margin",
                "'kl', which",
            ],
        ),
        (["--at", "kl=1"], ["no stage of kind snapshot", "  where:   --at", "dose.md"]),
        (["--depth", "2"], ["less than or equal to 1, got 2", "  where:   --depth"]),
        (["--metric", "toxic_mas"], ["unknown metric", "  where:   --metric", "'toxic_mass'?"]),
        (["--site", "resid"], ["unknown site 'resid'", "  where:   --site", "did you mean"]),
    ],
)
def test_a_mistyped_option_is_named_as_it_was_typed(tmp_path, capsys, words, lines):
    (tmp_path / "study.yaml").write_text(STUDY)
    study, root = str(tmp_path / "study.yaml"), str(tmp_path / "root")
    assert main(["compare", study, *words, "--root", root]) == 2
    said = capsys.readouterr()
    assert not said.out and "Value error" not in said.err
    for line in lines:
        assert line in said.err


def test_values_of_one_axis_may_be_asked_for_one_by_one(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        "orchestrator.views.several_studies.gather_studies",
        lambda root, texts, chosen: asked.append(chosen["where"]) or 1 / 0,
    )
    words = ["--where", "size=s", "--where", "objective=dpo,sft", "--where", "size=m"]
    main(["compare", "study.yaml", *words, "--root", str(tmp_path)])
    assert asked == [{"size": ["s", "m"], "objective": ["dpo", "sft"]}]


def test_a_study_with_snapshots_that_has_not_run_is_not_told_that_it_has_none(tmp_path):
    (tmp_path / "study.yaml").write_text(SNAPSHOTS)
    root = Storage(str(tmp_path / "root"))
    gathered = gather_studies(root, [str(tmp_path / "study.yaml")], {"at": {"kl": [0.5]}})
    assert {row["status"] for row in gathered.comparison.rows} == {"not_run"}


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["--long", "--metric", "toxic_mass"], "--metric"),
        (["--long", "--site", "resid_mid"], "--site"),
        (["--long", "--rows", "model"], "--rows"),
        (["--long", "--controls"], "--controls"),
        (["--answers", "--metric", "toxic_mass"], "--metric"),
        (["--answers", "--references", "lee2024"], "--references"),
        (["--trace", "toxic_mass", "--where", "model=a"], "--where"),
        (["--trace", "toxic_mass", "--columns", "model"], "--columns"),
        (["--contrast", "model=a-b", "--rows", "model"], "--rows"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(tmp_path, capsys, words, where):
    (tmp_path / "study.yaml").write_text(STUDY)
    command = ["compare", str(tmp_path / "study.yaml"), *words, "--root", str(tmp_path / "root")]
    assert main(command) == 2
    said = capsys.readouterr()
    assert not said.out
    assert f"changes nothing of what {words[0]} prints" in said.err
    assert f"  where:   {where}" in said.err


def test_the_long_table_says_how_its_rows_are_kept(tmp_path, capsys):
    (tmp_path / "study.yaml").write_text(STUDY)
    words = ["--long", "--metric", "toxic_mass", "--root", str(tmp_path / "root")]
    assert main(["compare", str(tmp_path / "study.yaml"), *words]) == 2
    assert "--where metric=" in capsys.readouterr().err


def test_two_formats_are_refused_and_so_is_one_that_a_trace_has_not(tmp_path, capsys):
    (tmp_path / "study.yaml").write_text(STUDY)
    command = ["compare", str(tmp_path / "study.yaml"), "--root", str(tmp_path / "root")]
    assert main([*command, "--json", "--format", "csv"]) == 2
    assert "--json asks for another format" in capsys.readouterr().out
    assert main([*command, "--trace", "toxic_mass", "--format", "csv"]) == 2
    assert "allowed: json, terminal" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--metric", "--rows", "--columns", "--references"])
def test_a_list_that_is_given_twice_adds_up_and_an_empty_one_is_refused(
    monkeypatch, tmp_path, capsys, option
):
    asked = []
    monkeypatch.setattr(
        "orchestrator.views.several_studies.gather_studies",
        lambda root, texts, chosen: asked.append(chosen) or 1 / 0,
    )
    command = ["compare", "study.yaml", "--root", str(tmp_path)]
    main([*command, option, "a,b", option, "c"])
    (chosen,) = asked
    assert chosen["metrics" if option == "--metric" else option.strip("-")] == ["a", "b", "c"]
    capsys.readouterr()
    for empty in ("", " ", ","):
        assert main([*command, option, empty]) == 2
        said = capsys.readouterr().err
        assert "names nothing: leave the option out" in said and option in said


def test_a_table_is_as_wide_as_the_terminal_that_it_is_printed_on(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    words = ["compare", str(tmp_path / "study.yaml"), "--root", str(tmp_path / "root")]
    assert max(map(len, _on_a_terminal(words, 72))) <= 72
    assert max(map(len, _on_a_terminal(words, 150))) > 72
    answered = _on_a_terminal([*words, "--answers"], 72)
    assert "NOT MEASURED" in "".join(answered)


def _on_a_terminal(words, columns):
    """Return the lines that a command prints on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    command = [sys.executable, "-m", "orchestrator.cli", *words]
    with subprocess.Popen(command, stdout=theirs, env=_environment()) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # the end of a terminal whose other side is closed
            while part := os.read(ours, 1 << 16):
                said += part
    os.close(ours)
    assert process.returncode == 0
    return said.decode().splitlines()


def _environment():
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
