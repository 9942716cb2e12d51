"""`~` and `~name` stand for homes; one that nobody has is a mistake, not a fault of ours."""

import pytest

from cluster.disk.written_path import expanded
from cluster.errors import UserError
from cluster.storage import Storage
from orchestrator.cli import main

NOBODYS = "~nobody-has-this-name/folder"
STUDY = """study: texts
entries: ENTRIES
stages:
  prompts: {kind: prompts, params: {format: nursery}}
"""


def test_homes_are_put_in(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a") == tmp_path / "a" and str(expanded("a/~b")) == "a/~b"
    with pytest.raises(UserError, match="home of no user") as caught:
        expanded(NOBODYS, where="here")
    assert caught.value.where == "here"
    with pytest.raises(UserError, match="home of no user"):
        Storage(NOBODYS)


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "study.yaml", "--root", NOBODYS],
        ["plan", "study.yaml", "--on", NOBODYS],
        ["plan", "own.yaml"],
        ["rehearse", "study.yaml", "--into", NOBODYS],
        ["profile", "show", NOBODYS],
    ],
)
def test_the_home_of_nobody_is_a_mistake_wherever_it_is_written(
    words, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY.replace("entries: ENTRIES\n", ""))
    (tmp_path / "own.yaml").write_text(STUDY.replace("ENTRIES", NOBODYS))
    assert main(words) == 2
    assert "~nobody-has-this-name" in capsys.readouterr().err
