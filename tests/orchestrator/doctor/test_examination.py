"""One check that hangs, raises or crashes costs its own lines, and no other's."""

import json
import threading

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.doctor import examination, opening
from orchestrator.doctor.check import CHECKS, Check, Verdict, ok
from orchestrator.doctor.examination import Finding, check_names, examine, is_fit
from orchestrator.doctor.site import Site


class Good(Check):
    ORDER = 1

    def lines(self, site):
        yield ok(site.root.url)


class Raising(Check):
    ORDER = 2

    def lines(self, site):
        yield ok("before")
        raise OSError("the disk has gone")


class Hanging(Check):
    ORDER = 3
    LIMIT_S = 0.05

    def lines(self, site):
        yield ok("before")
        threading.Event().wait()


@pytest.fixture
def site(tmp_path):
    from cluster.fitness.asked_nodes import ThisMachine

    return Site(nodes=ThisMachine(), root=Storage(tmp_path))


def test_a_check_that_raises_or_hangs_costs_its_own_lines(site, monkeypatch):
    checks = {"hanging": Hanging(), "raising": Raising(), "good": Good()}
    monkeypatch.setattr(CHECKS, "find", checks.__getitem__)
    findings = list(examine(site, list(checks)))
    assert [(f.check, f.line.verdict) for f in findings] == [
        ("hanging", Verdict.OK),
        ("hanging", Verdict.UNCHECKED),
        ("raising", Verdict.OK),
        ("raising", Verdict.UNCHECKED),
        ("good", Verdict.OK),
    ]
    assert findings[1].line.value == "not finished within 0.05 s"
    assert "OSError: the disk has gone" in findings[3].line.value
    assert is_fit(findings)


@pytest.mark.parametrize("kind", [Raising, Hanging])
def test_a_root_that_cannot_be_looked_at_is_not_fit(site, monkeypatch, kind):
    monkeypatch.setattr(kind, "IF_BROKEN", CHECKS.find("root").IF_BROKEN)
    monkeypatch.setattr(CHECKS, "find", {"root": kind()}.__getitem__)
    findings = list(examine(site, ["root"]))
    assert [f.line.verdict for f in findings] == [Verdict.OK, Verdict.BAD]
    assert "storage" in findings[1].line.remedy and not is_fit(findings)


def test_a_root_that_never_says_what_is_there_does_not_hang_the_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "_LOOKED_WITHIN_S", 0.01)
    answers = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(opening.Path, "exists", lambda self: answers.wait(10))
        assert opening._missing_folders(tmp_path / "root") == []
        answers.set()
    monkeypatch.setattr(opening, "_LOOKED_WITHIN_S", 10.0)
    assert opening._missing_folders(tmp_path / "root") == [tmp_path / "root"]


def test_every_check_says_something_of_this_machine(tmp_path, capsys):
    code = main(["doctor", "--root", str(tmp_path / "root"), "--json"])
    document = json.loads(capsys.readouterr().out)
    findings = document["findings"]
    assert document["is_fit"] == (code == 0)
    assert list(dict.fromkeys(f["check"] for f in findings)) == check_names()
    assert not [f for f in findings if "the check failed" in f["value"]]
    assert all(f["remedy"] for f in findings if f["verdict"] in ("warning", "bad"))
    assert not (tmp_path / "root").exists()


def test_one_bad_line_is_not_fit():
    line = examination.unchecked("nobody asked")
    assert is_fit([Finding(check="a", line=line)])
    bad = Finding(check="b", line=type(line)(value="v", verdict=Verdict.BAD, remedy="r"))
    assert not is_fit([Finding(check="a", line=line), bad])


class Telling(Check):
    ORDER = 1

    def lines(self, site):
        yield ok("https://me:hunter2hunter2@mirror.example answers")


def test_no_password_is_shown(site, monkeypatch):
    monkeypatch.setattr(CHECKS, "find", lambda name: Telling())
    (finding,) = examine(site, ["telling"])
    assert "hunter2" not in finding.line.value and "mirror.example" in finding.line.value


def test_a_node_that_does_not_answer_is_bad(site, monkeypatch):
    from cluster.fitness.looking import Answer

    silent = {node.name: Answer(fault="no answer within 20 s") for node in site.nodes.nodes}
    monkeypatch.setattr(site.nodes, "ask", lambda *words: silent, raising=False)
    verdicts = [finding.line.verdict for finding in examine(site, ["nodes"])]
    assert verdicts == [Verdict.BAD]
