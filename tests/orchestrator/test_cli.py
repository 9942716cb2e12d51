import errno
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from orchestrator.cli import main, verb_names
from orchestrator.verb import VERBS

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
    assert answer.keys() == {"error", "code", "exit_code", "where", "allowed", "hint", "next"}
    return answer


def test_an_unknown_verb_is_answered_with_all_verbs_and_the_nearest(capsys):
    answer = fault(capsys, "lanch", "study.yaml")
    assert "'lanch'" in answer["error"]
    assert set(answer["allowed"]) == set(verb_names())
    assert "'launch'" in answer["hint"]


@pytest.mark.parametrize("words", [["--hang-after", "-5min"], ["--patience", "-1h"]])
def test_a_negative_value_is_answered_with_what_is_allowed(capsys, tmp_path, words):
    study = tmp_path / "s.yaml"
    study.write_text("study: s\nstages:\n  base: {kind: probe, params: {index: 1}}\n")
    answer = fault(capsys, "launch", str(study), "--root", str(tmp_path / "root"), *words)
    assert answer["where"] == words[0] and words[1] in answer["error"]
    assert "90s" in answer["allowed"]


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
        (["why", "study"], "JOB"),
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


@pytest.fixture
def broken(monkeypatch, tmp_path):
    """A function: what `status` raises from now on; crash files go to a folder of the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def raising(error):
        def run(options):
            raise error

        monkeypatch.setattr(VERBS.find("status"), "run", run)

    return raising


def crash_file(folder):
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_text()


@pytest.mark.parametrize(
    "error",
    [KeyError("a"), AssertionError(), RecursionError("deep"), OSError("of a library"),
     UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates"), ValueError("one\ntwo \ud83d")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_what_nobody_foresaw_is_one_sentence_a_file_and_code_70(broken, capsys, tmp_path, error):
    broken(error)
    assert main(["status", "--root", str(tmp_path / "none")]) == 70
    said = capsys.readouterr()
    assert said.out == ""
    sentence, where, hint = said.err.splitlines()
    assert sentence.startswith("deltascale: a fault of deltascale itself: " + type(error).__name__)
    (path,) = (tmp_path / "temporary").iterdir()
    assert str(path) in where
    assert "Traceback" in crash_file(tmp_path / "temporary")
    assert not (tmp_path / "none").exists()


def test_a_root_of_ours_keeps_the_stack_and_another_folder_gets_nothing(broken, capsys, tmp_path):
    broken(KeyError("a"))
    for name in ("ours", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
    (tmp_path / "ours/root.json").write_text('{"id": "0"}')
    assert main(["status", "--root", str(tmp_path / "ours")]) == 70
    assert "KeyError" in crash_file(tmp_path / "ours/crashes")
    assert main(["status", "--root", str(tmp_path / "other")]) == 70
    assert os.listdir(tmp_path / "other") == ["file"]


def test_a_link_in_the_place_of_the_folder_for_crashes_is_not_followed(broken, tmp_path):
    broken(KeyError("a"))
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root/root.json").write_text('{"id": "0"}')
    (tmp_path / "root/crashes").symlink_to(tmp_path / "elsewhere")
    assert main(["status", "--root", str(tmp_path / "root")]) == 70
    assert os.listdir(tmp_path / "elsewhere") == []
    assert crash_file(tmp_path / "temporary")


def test_no_secret_is_in_a_crash_file_or_its_sentence(broken, capsys, tmp_path, monkeypatch):
    secret = "planted" + "Value123456"
    monkeypatch.setenv("MY_API_TOKEN", secret)
    broken(RuntimeError(f"refused {secret} at https://user:{secret}@host/"))
    assert main(["status", "--root", str(tmp_path / "none"), "--json"]) == 70
    said = capsys.readouterr()
    assert secret not in said.out + said.err + crash_file(tmp_path / "temporary")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.EROFS, "Read-only file system", "f"), 3, "Read-only"),
        (OSError(errno.EIO, "Input/output error", "f"), 3, "Input/output"),
        (OSError(errno.ESTALE, "Stale file handle"), 3, "Stale"),
        (OSError(errno.EMFILE, "Too many open files", "f"), 3, "Too many"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "f"), 3, "too long"),
        (OSError(errno.ENOSPC, "No space left on device", "f"), 3, "cannot write"),
        (ConnectionError("reset by peer"), 3, "reset"),
        (TimeoutError("timed out"), 3, "timed out"),
        (MemoryError(), 3, "memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyError("a"), 70, "itself"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_faults_of_every_kind_have_their_code_and_are_json_when_asked(
    broken, capsys, tmp_path, error, code, words
):
    broken(error)
    assert main(["status", "--root", str(tmp_path / "none")]) == code
    told = capsys.readouterr()
    assert told.out == "" and words in told.err and "Traceback" not in told.err
    assert main(["status", "--root", str(tmp_path / "none"), "--json"]) == code
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert answer.keys() == {"error", "code", "exit_code", "where", "allowed", "hint", "next"}
    assert words in answer["error"] and told.err == ""


def test_debug_shows_the_stack_of_any_fault_beside_the_answer(broken, capsys, tmp_path):
    broken(KeyError("a"))
    assert main(["status", "--root", str(tmp_path / "none"), "--debug", "--json"]) == 70
    told = capsys.readouterr()
    assert "Traceback" in told.err and "in run" in told.err
    assert "itself" in json.loads(told.out)["error"]
    assert main(["plan", str(tmp_path / "none.yaml"), "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_text_that_the_terminal_cannot_show_ends_no_command(tmp_path):
    words = ["plan", "\udcff.yaml", "--root", str(tmp_path / "r\u00e9")]
    ended = subprocess.run(
        [*COMMAND, *(os.fsencode(word) for word in words)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 2 and b"there is no study file" in ended.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["status", "own"], 2, "whole path"),
        (["plan", "{file}"], 2, "whole path"),
        (["plan", "own.yaml", "--root", "{root}"], 3, "`cd`"),
        (["plan", "{file}", "--root", "{root}"], 0, ""),
    ],
)
def test_a_working_folder_that_was_deleted_is_one_message_where_it_is_needed(
    tmp_path, words, code, told
):
    (tmp_path / "own.yaml").write_text(
        "study: own\nstages:\n  a: {kind: probe, params: {index: 1}}\n"
    )
    (tmp_path / "gone").mkdir()
    places = {"file": tmp_path / "own.yaml", "root": tmp_path / "root"}
    program = 'cd "$1"; rmdir "$1"; shift; exec "$@"'
    ended = subprocess.run(
        ["sh", "-c", program, "sh", tmp_path / "gone", *COMMAND]
        + [word.format(**places) for word in words],
        env={
            **{name: text for name, text in os.environ.items() if name != "DELTASCALE_ROOT"},
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert told in ended.stderr and len(ended.stderr.splitlines()) == (3 if code else 0)
    assert ("deleted" in ended.stderr) == bool(code)


def ended_without_reader(verb, deed):
    """How a command ends whose verb does a deed and whose output nobody reads."""
    program = f"""
import sys
from orchestrator.cli import main
from orchestrator.console import answers, flush_or_end, say
from orchestrator.verb import VERBS
from rich.console import Console
def run(options):
    {deed}
VERBS.find({verb!r}).run = run
sys.exit(main([{verb!r}]))
"""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)


@pytest.mark.parametrize(
    ("deed", "code"),
    [
        ("say('x'); return 1", 1),
        ("say('x' * 100_000); return 1", 1),
        ("say('x' * 100_000); answers().flush(); say('x' * 100_000); return 75", 75),
        ("answers().buffer.write(b'x' * 1_000_000); return 1", 1),
        ("Console(file=answers()).print('x\\n' * 100_000); return 1", 1),
        ("say('x'); return 0", 0),
        ("while True: say('x'); flush_or_end()", 0),
    ],
)
def test_a_reader_that_went_away_changes_no_code(deed, code):
    ended = ended_without_reader("gc", deed)
    assert (ended.returncode, ended.stderr) == (code, b"")


def test_a_broken_pipe_that_is_not_the_output_is_a_fault():
    ended = ended_without_reader("gc", "raise BrokenPipeError(32, 'Broken pipe')")
    assert ended.returncode == 3
    assert ended.stderr.startswith(b"deltascale: ") and len(ended.stderr.splitlines()) <= 2


def test_the_backend_of_a_notebook_keeps_no_verb_from_drawing():
    program = """
import os, sys
from orchestrator.cli import main
from orchestrator.console import say
from orchestrator.verb import VERBS
def run(options):
    import analysis.drawing.figure
    say("drawn")
    return 0
VERBS.find("gc").run = run
code = main(["gc"])
print(os.environ["MPLBACKEND"])
sys.exit(code)
"""
    backend = "module://matplotlib_inline.backend_inline"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "MPLBACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout.split()) == (0, ["drawn", backend])


def test_a_variable_that_a_library_cannot_read_is_the_users_to_mend(tmp_path):
    program = """
import sys
from orchestrator.cli import main
from orchestrator.verb import VERBS
def run(options):
    import tqdm
VERBS.find("gc").run = run
sys.exit(main(["gc", "--json"]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TQDM_MININTERVAL": "abc"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 2, ended.stderr
    assert "TQDM_MININTERVAL" in json.loads(ended.stdout)["error"]


def test_jobs_that_cannot_import_torch_fail_once_each_and_the_launch_goes_on_to_its_end(tmp_path):
    study = tmp_path / "two.yaml"
    study.write_text(
        "study: two\n"
        "axes: {seed: [0, 1]}\n"
        "stages:\n"
        "  base:\n"
        "    kind: pretrain\n"
        "    over: [seed]\n"
        "    params:\n"
        "      config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1}\n"
        "      format: nursery\n"
        "      steps: 1\n"
        '      seed: "${seed}"\n'
    )
    root = tmp_path / "root"
    words = ["launch", study, "--root", root, "--executor", "local"]
    ended = subprocess.run(
        [*COMMAND, *words],
        env={**os.environ, "TORCH_DISTRIBUTED_DEBUG": "garbage"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 1, ended.stderr[-2000:]
    assert (ended.stdout + ended.stderr).count("TORCH_DISTRIBUTED_DEBUG") >= 2
    attempts = [path for path in root.glob("artifacts/*/*/attempts/*") if path.is_dir()]
    assert len({path.parent for path in attempts}) == len(attempts) == 2
