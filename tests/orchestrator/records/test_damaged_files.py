"""Every file of ours that can be damaged: named by `verify`, and in no verb's way."""

import json
import os

import pytest

from orchestrator.cli import main

STUDY = """\
study: s
stages:
  base: {kind: probe, params: {index: 1}}
  next: {kind: probe, inputs: {after: base}, params: {index: 1, waits: true}}
"""
LINES = [
    "x" * 3_000_000,
    "123",
    '"x"',
    "[]",
    "not json",
    '{"event": "ended"}',
    '{"event": "none"}',
    "[" * 5000,
]
LINES += ['{"event": "refused", "at": NaN, "key": "k", "message": "m"}']
LINES += ['{"event": "refused", "at": 1e300, "key": "k", "message": "m"}']
LINES += ['{"event": "refused", "at": 1, "key": "k", "message": ' + "9" * 5000 + "}"]


@pytest.fixture
def launched(tmp_path, capsys):
    """A function: verb and options -> code and what it says, of a study that is done."""
    (tmp_path / "s.yaml").write_text(STUDY)
    (tmp_path / "root").mkdir()

    def run(verb, *options):
        study = [] if verb in ("gc",) else [str(tmp_path / "s.yaml")]
        code = main([verb, *study, *options, "--root", str(tmp_path / "root")])
        said = capsys.readouterr()
        return code, said.out + said.err

    assert run("launch", "--executor", "local")[0] == 0
    run.root = tmp_path / "root"
    return run


def look(launched):
    """Run every verb that only looks."""
    for verb in ("plan", "status", "verify", "cancel", "compare", "report"):
        code, said = launched(verb)
        assert code in (0, 1, 2) and "itself" not in said, (verb, said)


def damaged_files(launched):
    code, said = launched("verify", "--json")
    document, _ = json.JSONDecoder().raw_decode(said)  # a note follows
    return code, [(item["file"], item["line"]) for item in document["damaged_files"]]


def test_an_event_of_another_version_is_no_damage_and_stays_when_lines_are_taken_out(launched):
    (ledger,) = (launched.root / "studies/s/ledger").iterdir()
    other = b'{"event": "moved-on", "at": 1.5, "node": "n"}\n'
    ledger.write_bytes(ledger.read_bytes() + other)
    look(launched)
    assert damaged_files(launched) == (0, [])
    ledger.write_bytes(ledger.read_bytes() + b"not json\n")
    assert launched("verify", "--repair", "--executor", "local")[0] == 0
    assert ledger.read_bytes().endswith(other)


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_damaged_line_of_the_ledger_is_passed_over_named_and_taken_out(launched, line):
    (ledger,) = (launched.root / "studies/s/ledger").iterdir()
    whole = ledger.read_bytes()
    number = whole.count(b"\n") + 1
    ledger.write_bytes(whole + line.encode() + b"\n")
    look(launched)
    assert launched("plan")[1].count("2 reused") == 1
    assert damaged_files(launched) == (1, [(f"studies/s/ledger/{ledger.name}", number)])
    assert launched("verify", "--repair", "--executor", "local")[0] == 0
    assert ledger.read_bytes().startswith(whole)
    assert damaged_files(launched) == (0, [])
    (aside,) = (launched.root / "aside").glob(f"*/studies/s/ledger/{ledger.name}")
    assert aside.read_bytes() == whole + line.encode() + b"\n"


def test_the_end_of_a_ledger_that_a_crash_cut_off_is_no_damage(launched):
    (ledger,) = (launched.root / "studies/s/ledger").iterdir()
    ledger.write_bytes(ledger.read_bytes() + b'{"event": "ended", "at": 12')
    look(launched)
    assert damaged_files(launched) == (0, [])


@pytest.mark.parametrize("content", [b"", b"123", b"{}", b"\xff\xfe", b"[" * 5000, None])
def test_a_damaged_request_is_named_and_written_again(launched, content):
    request = next((launched.root / "artifacts/probe").glob("*/job.json"))
    before = json.loads(request.read_bytes())
    replace(request, content)
    look(launched)
    assert damaged_files(launched) == (1, [(str(request.relative_to(launched.root)), None)])
    assert launched("verify", "--repair", "--executor", "local")[0] == 0
    assert json.loads(request.read_bytes()) == before
    assert damaged_files(launched) == (0, [])


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"123", b"{}", b"\xff\xfe", b"[" * 5000, None),
        b'{"key": "k", "kind": "probe", "attempt": "a", "files": {}, "inputs": "text"}',
        b'{"key": "k", "kind": "probe", "attempt": "..", "files": {}}',
        b'{"key": "k", "kind": "", "attempt": "a", "files": {"\\u0000": {"bytes": 1, "xxh3": ""}}}',
        b'{"key": "k", "kind": "p", "attempt": "a", "files": {"../x": {"bytes": 1, "xxh3": ""}}}',
        b'{"key": "k", "kind": "probe", "attempt": "a", "files": {}, "seconds": Infinity}',
    ],
)  # fmt: skip
def test_a_damaged_record_is_a_job_that_is_not_done(launched, content):
    record = next((launched.root / "artifacts/probe").glob("*/record.json"))
    if content is not None:
        key = json.loads(record.read_bytes())["key"].encode()
        content = content.replace(b'"k"', b'"' + key + b'"')
    replace(record, content)
    look(launched)
    assert "its record is damaged" in launched("plan", "--all")[1]
    code, said = launched("verify")
    assert code == 1 and "this record is unreadable" in said
    assert launched("launch", "--executor", "local")[0] == 0
    assert damaged_files(launched) == (0, [])


@pytest.mark.parametrize("content", [b"", b"123", b'{"stages": []}', b"\xff", b"[" * 5000, None])
@pytest.mark.parametrize("name", ["index.json", "study.yaml", "params.json", "plan.json"])
def test_what_a_launch_wrote_of_its_study_is_written_again_by_the_next(launched, name, content):
    file = launched.root / "studies/s" / name
    before = file.read_bytes()
    replace(file, content)
    look(launched)
    status = ["status", "s", "--root", str(launched.root)]
    assert main(status) in (0, 3)  # asked by its name, which may need that file
    assert launched("launch", "--executor", "local")[0] == 0
    assert main(status) == 0
    assert name != "study.yaml" or file.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"123", b'{"cancel": "all"}', b"\xff", None])
def test_a_damaged_request_to_cancel_cancels_nothing(launched, content):
    folder = launched.root / "studies/s/requests"
    folder.mkdir(exist_ok=True)
    (folder / "0.json").write_bytes(b"")
    replace(folder / "0.json", content)
    look(launched)
    assert launched("resume", "--executor", "local")[0] == 0


@pytest.mark.parametrize("content", [b"", b"123", b'{"name": 1}', b"\xff", None])
def test_a_damaged_revision_is_named_and_blocks_no_study_that_does_not_need_it(launched, content):
    (launched.root / "revisions").mkdir(exist_ok=True)
    name = "hf%3A%2F%2Forg%2Fname%40main.json"
    (launched.root / "revisions" / name).write_bytes(b"")
    replace(launched.root / "revisions" / name, content)
    look(launched)
    assert damaged_files(launched) == (1, [(f"revisions/{name}", None)])
    assert launched("launch", "--executor", "local")[0] == 0


def replace(path, content):
    """Write bytes in the place of a file, or a folder for None."""
    path.unlink()
    if content is None:
        path.mkdir()
        (path / "inside").write_text("x")
    else:
        path.write_bytes(content)


def test_a_root_whose_own_file_is_damaged_says_which_and_what_to_do(launched):
    os.truncate(launched.root / "root.json", 3)
    look(launched)
    assert damaged_files(launched)[1] == [("root.json", None)]
    next((launched.root / "artifacts/probe").glob("*/record.json")).unlink()
    code, said = launched("launch", "--executor", "local")
    assert code == 3 and "root.json is damaged" in said and "delete it" in said
