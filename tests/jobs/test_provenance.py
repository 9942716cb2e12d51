"""Where data come from is declared by kinds and formats, never guessed for one that is silent."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import jobs.kinds
import jobs.text.formats
from analysis import door
from analysis.answering.answer import ANSWERS, StudyAnswer, Verdict
from analysis.answering.findings import Findings
from analysis.long_table.circumstances import Origin
from analysis.long_table.columns import to_rows
from analysis.long_table.selection import Selection
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import artifact_folder
from jobs.comparing.ancestry import circumstances_of
from jobs.kind import KINDS
from jobs.text.format import FORMATS

FORMAT = """
from analysis.long_table.circumstances import Origin
from jobs.text.format import Format, NoOptions
from jobs.text.reading import Pair, Reading


class {name}(Format[NoOptions]):
    Options = NoOptions
{declared}

    def read_pairs(self, source, options):
        return Reading(items=[Pair(row=1, prompt="a", chosen="b", rejected="c")])
"""
KIND = """
from analysis.long_table.circumstances import Origin
from jobs.kind import Kind, Params
from jobs.provenance import Data


class {name}(Kind[Params]):
    VERSION = 1
    INPUTS = {{}}
    Params = Params
    USES_TORCH = False
{declared}
"""

AddEntry = Callable[[ModuleType, str, str, str], None]


@pytest.fixture
def add_entry(tmp_path: Path) -> Iterator[AddEntry]:
    """Add a file to a folder of entries, as a contributor would, for the time of a test."""
    folder = tmp_path / "entries"
    folder.mkdir()

    def add(package: ModuleType, stem: str, text: str, declared: str) -> None:
        name = stem.capitalize()
        (folder / f"{stem}.py").write_text(text.format(name=name, declared=f"    {declared}"))
        package.__path__.append(str(folder))
        door._names.cache_clear()

    yield add
    for package in (jobs.kinds, jobs.text.formats):
        if str(folder) in package.__path__:
            package.__path__.remove(str(folder))
    door._names.cache_clear()


def test_a_format_that_does_not_say_where_its_data_come_from_is_refused(add_entry):
    add_entry(jobs.text.formats, "silent", FORMAT, "")
    assert "silent" in FORMATS.names()
    with pytest.raises(TypeError, match=r"silent.py lacks ORIGIN: see jobs/text/format.py"):
        FORMATS.find("silent")


def test_a_kind_that_does_not_say_what_it_leaves_is_refused(add_entry):
    add_entry(jobs.kinds, "mute", KIND, "")
    with pytest.raises(TypeError, match=r"mute.py lacks LEAVES: see jobs/kind.py"):
        KINDS.find("mute")


def test_a_file_without_the_class_of_its_name_is_refused(add_entry):
    add_entry(jobs.kinds, "wrongly", KIND.replace("{name}", "Other"), "LEAVES = Data(origin=None)")
    with pytest.raises(TypeError, match=r"must define a class Wrongly that inherits from.*Kind"):
        KINDS.find("wrongly")


VERDICTS = {
    Origin.COLLECTED: (Verdict.YES, "The mechanism is there"),
    Origin.LANGUAGE: (Verdict.UNDECIDED, "Stand-in"),
    Origin.STEERED: (Verdict.NOT_MEASURED, "synthetic"),
    Origin.UNKNOWN: (Verdict.NOT_MEASURED, "unknown"),
}


@pytest.mark.parametrize("origin", list(Origin))
def test_the_origin_that_a_format_declares_reaches_the_answer(origin, add_entry, tmp_path):
    stem = f"form_of_{origin}"
    text = FORMAT.replace("{name}", f"FormOf{origin.capitalize()}")
    add_entry(jobs.text.formats, stem, text, f"ORIGIN = Origin.{origin.name}")
    answer = _answer(tmp_path, "pairs", {"format": stem.replace("_", "-")}, expected=origin)
    _check(answer, origin)


@pytest.mark.parametrize("origin", list(Origin))
def test_the_origin_that_a_kind_declares_reaches_the_answer(origin, add_entry, tmp_path):
    stem = f"kind_of_{origin}"
    text = KIND.replace("{name}", f"KindOf{origin.capitalize()}")
    add_entry(jobs.kinds, stem, text, f"LEAVES = Data(origin=Origin.{origin.name})")
    answer = _answer(tmp_path, stem.replace("_", "-"), {}, expected=origin)
    _check(answer, origin)


@pytest.mark.parametrize(("kind", "form"), [("pairs", "sold-out"), ("sold-out", "nursery")])
def test_what_is_not_installed_any_more_is_unknown_and_never_collected(kind, form, tmp_path):
    _check(_answer(tmp_path, kind, {"format": form}, expected=Origin.UNKNOWN), Origin.UNKNOWN)


def test_a_model_trained_on_what_is_no_pairs_has_unknown_preferences(tmp_path):
    _answer(tmp_path, "measure", {}, expected=Origin.UNKNOWN)


def _check(answer: StudyAnswer, origin: Origin) -> None:
    verdict, words = VERDICTS[origin]
    assert answer.verdict is verdict
    assert words in " ".join([answer.summary, *answer.caveats])


def _answer(folder: Path, kind: str, params: dict[str, str], *, expected: Origin) -> StudyAnswer:
    """Answer a study of one model aligned on pairs of this kind."""
    root = Storage(folder / "root")

    def request(key: str, kind: str, params: dict[str, str], **inputs: tuple[str, str]) -> None:
        refs = {name: [{"kind": kind, "key": key}] for name, (kind, key) in inputs.items()}
        written = {"kind": kind, "key": key, "params": params, "inputs": refs, "identity": {}}
        root.create(f"{artifact_folder(kind, key)}/job.json", json.dumps(written).encode())

    base, aligned, prompts = ("pretrain", "b" * 64), ("align", "a" * 64), ("prompts", "d" * 64)
    request(base[1], base[0], {})
    request("e" * 64, kind, params)
    request(aligned[1], aligned[0], {"objective": "dpo"}, model=base, pairs=(kind, "e" * 64))
    request(prompts[1], prompts[0], {"format": "nursery", "transform": "plain"})
    request("0" * 64, "behave", {}, model=base, prompts=prompts)
    request("1" * 64, "behave", {}, model=aligned, prompts=prompts)
    request("2" * 64, "extract", {}, base=base, aligned=aligned, prompts=prompts)
    request("3" * 64, "measure", {}, delta=("extract", "2" * 64))
    measuring = [("behave", "0"), ("behave", "1"), ("measure", "3")]
    about = circumstances_of([Artifact(root, kind, digit * 64) for kind, digit in measuring])
    assert about["0" * 64].preferences is None
    assert about["1" * 64].preferences is about["3" * 64].preferences is expected
    where = {"family": "gpt2", "num_parameters": 100_000, "num_layers": 5, "model": "a"}
    row = {**where, "condition": "plain", "position": "last", "seed": "0"}
    rows = [
        {**row, "metric": "toxic_mass", "value": 0.5, "key": "0" * 64, "seed": None},
        {**row, "metric": "toxic_mass", "value": 0.05, "key": "1" * 64, "objective": "dpo"},
        {
            **row,
            "metric": "consistency",
            "value": 0.9,
            "key": "3" * 64,
            "objective": "dpo",
            "site": "resid_mid",
            "layer": 3,
        },
    ]
    for each in rows:
        each |= {"low": each["value"] - 0.01, "high": each["value"] + 0.01}
    findings = Findings.from_rows(to_rows(rows), about, selection=Selection(), seeds="seed")
    return ANSWERS.find("under_real_preferences").answer(findings)
