"""What a batch script says to SLURM and to the shell, whatever a user chose."""

import os
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from cluster.errors import UserError
from cluster.slurm import script_parts
from cluster.slurm.batch_request import BatchRequest, Explained, NodeShape, Placeholder, Setup
from cluster.slurm.batch_script import write_script

REQUEST = BatchRequest(
    title="study 'ladder', allocation 1 of 2: base, pairs",
    name="ladder.1",
    nodes=NodeShape(count=2, cpus=64, gpus=8, labels={"gpu_memory_gb": "80"}),
    setup=Setup(python="/opt/venv/bin/python", modules=["cuda/12.4"], variables={"A": "1"}),
    command=["deltascale", "launch", "ladder", "--address", Placeholder.ADDRESS],
    output="/scratch/logs/1-%j.log",
    state_folder="/scratch/logs/1",
    account="proj",
    partition="gpu",
    time=Explained(value="12:00:00", why="Time: 7 h expected."),
    memory=Explained(value="480000M", why="Memory: all."),
)
HOSTILE = [
    "ADDRESS",
    "$address",
    "a b",
    "a'b",
    'a"b',
    "a$(touch x)",
    "a`touch x`",
    "a\nb",
    "a;b",
    "a#b",
    "*",
    "-n",
    "é",
]
_KNOWN_TO_20_11 = {
    "job-name", "account", "partition", "qos", "nodes", "ntasks-per-node", "cpus-per-task", "gres",
    "exclusive", "mem", "time", "signal", "requeue", "no-requeue", "open-mode", "output",
}  # fmt: skip


def directives(script: str) -> dict[str, str]:
    lines = [line[len("#SBATCH --") :] for line in script.splitlines() if line[:7] == "#SBATCH"]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def check_syntax(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_everything_that_is_asked_of_slurm_stands_at_the_top_and_says_where_it_comes_from() -> None:
    script = write_script(REQUEST)
    assert directives(script) == {
        "job-name": "ladder.1",
        "account": "proj",
        "partition": "gpu",
        "nodes": "2",
        "ntasks-per-node": "1",
        "cpus-per-task": "64",
        "gres": "gpu:8",
        "mem": "480000M",
        "time": "12:00:00",
        "signal": "B:USR1@300",
        "requeue": "",
        "open-mode": "append",
        "output": '"/scratch/logs/1-%j.log"',
    }
    assert "# Time: 7 h expected.\n#SBATCH --time=12:00:00\n" in script
    first_command = script.index("python=")
    assert all(script.index(f"#SBATCH --{name}") < first_command for name in directives(script))


def test_only_options_that_slurm_20_11_knows_are_used() -> None:
    everything = replace(REQUEST, qos="high", nodes=NodeShape(is_exclusive=True), is_requeued=False)
    for request in (REQUEST, everything):
        assert set(directives(write_script(request))) <= _KNOWN_TO_20_11


@pytest.mark.parametrize("is_requeued", [True, False])
def test_scripts_are_whole_bash(is_requeued: bool) -> None:
    check_syntax(write_script(replace(REQUEST, is_requeued=is_requeued)))
    whole = NodeShape(count=2, is_exclusive=True)
    symmetric = replace(REQUEST, is_requeued=is_requeued, is_symmetric=True, nodes=whole)
    check_syntax(write_script(symmetric))
    assert write_script(REQUEST) == write_script(REQUEST)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_user_chose_reaches_commands_as_it_was_written(text: str, tmp_path) -> None:
    setup = Setup(
        python=text, venv=None, variables={"CHOSEN": text}, scratch=text, interface=text, code=text
    )
    script = write_script(
        replace(
            REQUEST, title=text, setup=setup, command=["printf", "%s\\0", text, Placeholder.ADDRESS]
        )
    )
    check_syntax(script)
    settings = script[: script.index("\nsay() {")]
    ask = '\naddress=there\nprintf "%s\\0" "$CHOSEN" "$scratch" "$interface" "$python"\n(launch)\n'
    done = subprocess.run(
        ["bash", "-c", settings + ask], cwd=tmp_path, capture_output=True, timeout=20
    )
    assert done.stdout.decode().split("\0")[:-1] == [text, text, text, text, text, "there"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("field", ["account", "partition", "qos", "name"])
@pytest.mark.parametrize("text", ["a b", "a\n#SBATCH --uid=0", 'a"', "a'", "a\\", "a#b", "", "é"])
def test_names_that_sbatch_would_read_otherwise_are_refused(field: str, text: str) -> None:
    with pytest.raises(UserError, match="cannot be the"):
        replace(REQUEST, **{field: text})


@pytest.mark.parametrize("path", ["/a\n#SBATCH --uid=0/%j", '/a"/%j', "/a\\/%j"])
def test_a_path_that_cannot_stand_in_a_directive_is_refused(path: str) -> None:
    with pytest.raises(UserError, match="cannot stand in a batch script"):
        replace(REQUEST, output=path)


def test_a_path_with_a_space_is_quoted_and_its_percent_signs_are_its_own() -> None:
    script = write_script(replace(REQUEST, output="/my scratch/100%n/1-%j.log"))
    assert directives(script)["output"] == '"/my scratch/100%%n/1-%j.log"'


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--constraint=a b", "no option"),
        ("-C a", "no option"),
        ("--constraint=a\n#SBATCH --uid=0", "no option"),
        ("--array=0-3", "itself"),
        ("--time=1:00", "itself"),
        ("--arr=0-1", "allowed are"),  # sbatch takes the beginning of a name
        ("--depen=singleton", "allowed are"),
        ("--expor=NONE", "allowed are"),
        ("--ntasks=4", "itself"),
        ("--mem-per-cpu=1G", "itself"),
        ("--gpus=8", "itself"),
        ("--wait", "itself"),
        ("--uid=0", "itself"),
        ("--test-only", "itself"),
        ("--constrain=a100", "did you mean --constraint"),
    ],
)
def test_further_options_are_single_words_that_are_not_ours(option: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(REQUEST, options=[option])
    assert directives(write_script(replace(REQUEST, options=["--constraint=a100"])))[
        "constraint"
    ] == "a100"  # fmt: skip


def test_no_token_is_in_a_script_or_on_a_command_line_of_it() -> None:
    script = write_script(REQUEST)
    assert "RAY_AUTH_MODE=token" in script
    assert "RAY_AUTH_TOKEN=" not in script
    token = script[script.index("head -c 32 /dev/urandom") :].splitlines()[0]
    assert "| with_token" in token  # from pipe to file


def test_ray_is_stopped_by_process_id_alone() -> None:
    code = [
        line.partition(" #")[0] for line in write_script(REQUEST).splitlines() if line[:1] != "#"
    ]
    assert not [line for line in code if "ray stop" in line or "pkill" in line or "killall" in line]


def test_a_job_asks_its_own_cluster_of_itself_whichever_was_chosen_at_submission() -> None:
    lines = write_script(REQUEST).splitlines()
    assert any(line.startswith("unset SLURM_CLUSTERS") for line in lines)


def test_symmetric_run_is_for_exclusive_nodes() -> None:
    with pytest.raises(UserError, match="exclusive nodes"):
        replace(REQUEST, is_symmetric=True)


def start(request: BatchRequest, folder, **variables: str) -> tuple[int, str]:
    """Run the beginning of a script, up to where it would start Ray; return its code and words."""
    folder.mkdir(exist_ok=True)
    script = write_script(replace(request, state_folder=str(folder / "2")))
    script = script[: script.index("\n# ---- On every node")] + "\nexit 99\n"
    environment = {**os.environ, "SLURM_JOB_ID": "12", **variables}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout


PLAIN = replace(REQUEST, setup=Setup(python="python"))
_BEGINS = 99


def test_an_allocation_begins_only_after_the_one_before_it_finished_its_part(tmp_path) -> None:
    second = replace(PLAIN, earlier_folder=str(tmp_path / "1"))
    (tmp_path / "1").mkdir()
    for ended in ("0", "1"):
        (tmp_path / "1" / "ended").write_text(f"{ended}\n")
        assert start(second, tmp_path)[0] == _BEGINS
    (tmp_path / "1" / "ended").unlink()  # it was killed at its time limit, or its node was lost
    code, said = start(second, tmp_path)
    assert code == 75 and "did not finish its part" in said
    assert (tmp_path / "stopped").exists()
    assert start(PLAIN, tmp_path)[0] == 0  # nor does any other of this launch begin


def test_a_spare_job_that_was_taken_back_does_not_stop_the_next_allocation(
    tmp_path, answering
) -> None:
    answering("scontrol", "JobId=11 JobName=x JobState=CANCELLED Reason=None\n")
    second = replace(PLAIN, earlier_folder=str(tmp_path / "1"))
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "ended").write_text("0\n")
    assert start(second, tmp_path, SLURM_JOB_DEPENDENCY="afterany:11")[0] == _BEGINS
    assert start(second, tmp_path, SLURM_JOB_DEPENDENCY="afternotok:11(failed)")[0] == 130


def test_what_was_cancelled_or_has_ended_does_not_begin_again(tmp_path, answering) -> None:
    answering("scontrol", "JobId=11 JobName=x JobState=CANCELLED Reason=None\n")
    assert start(PLAIN, tmp_path / "a", SLURM_JOB_DEPENDENCY="afternotok:11")[0] == 130
    answering("scontrol", "JobId=11 JobName=x JobState=TIMEOUT Reason=None\n")
    assert start(PLAIN, tmp_path / "b", SLURM_JOB_DEPENDENCY="afternotok:11")[0] == _BEGINS
    (tmp_path / "b" / "2" / "ended").write_text("0\n")
    assert start(PLAIN, tmp_path / "b")[0] == 0


def test_jobs_that_are_not_needed_any_more_leave_the_queue(tmp_path, answering) -> None:
    answering("scontrol", "JobId=11 JobState=CANCELLED\n")
    taken = answering("scancel")
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "jobs").write_text("11\n12\n13\n14\n")
    assert start(PLAIN, tmp_path, SLURM_JOB_DEPENDENCY="afternotok:11")[0] == 130
    assert taken.read_text() == "13 14\n"


def test_only_folders_that_a_killed_start_left_on_this_node_are_swept(tmp_path) -> None:
    for name in ("training", "killed00", "heldnow0", "othernod"):
        (tmp_path / f"ds-{name}" / "r").mkdir(parents=True)
    (tmp_path / "ds-training" / "lock").touch()  # of its user, who has a name like ours
    shell = f"""{script_parts.NODE}
        cd "$1"
        (hold ds-killed00)
        (hold ds-othernod); sed -i 's/on .*/on another/' ds-othernod/deltascale.lock
        hold ds-heldnow0
        touch -d '1 hour ago' ds-*
        sweep .; ls; ls ds-training"""
    done = subprocess.run(["bash", "-c", shell, "-", tmp_path], capture_output=True, text=True)
    assert not done.stderr
    assert done.stdout.split() == ["ds-heldnow0", "ds-othernod", "ds-training", "lock", "r"]


def test_what_is_written_anew_while_a_folder_is_discarded_goes_too(tmp_path) -> None:
    (tmp_path / "ds-ourfolder" / "r").mkdir(parents=True)
    shell = f"""{script_parts.NODE}
        cd "$1"; hold ds-ourfolder; exec 9>&-
        sleep() {{  # a worker that ends late, in the middle of the first wait
            [ -e late ] || mkdir -p ds-ourfolder/r/session; touch late
        }}
        discard ds-ourfolder; ls"""
    done = subprocess.run(["bash", "-c", shell, "-", tmp_path], capture_output=True, text=True)
    assert (done.stderr, done.stdout.split()) == ("", ["late"])


def test_a_sweep_knows_what_a_node_left_that_was_killed_while_it_cleared(tmp_path) -> None:
    shell = f"""{script_parts.NODE}
        cd "$1"; scratch=. most_letters=9
        start_ray() {{ mkdir -p "$1/r"; }}
        kill() {{  # Ray makes anew what it writes to, and SLURM's patience is over
            mkdir -p "$folder/r"; command kill -KILL $BASHPID
        }}
        (worker none < /dev/null)
        ls; touch -d '1 hour ago' ds-*; sweep .; ls"""
    done = subprocess.run(["bash", "-c", shell, "-", tmp_path], capture_output=True, text=True)
    assert re.fullmatch(r"ds-\w{8}\n", done.stdout), (done.stdout, done.stderr)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_warn_of() -> None:
    words = ["shellcheck", "-s", "bash", "--severity=warning", "--exclude=SC2155", "-"]
    for is_exclusive in (False, True):
        nodes = NodeShape(count=2, is_exclusive=is_exclusive)
        script = write_script(replace(REQUEST, nodes=nodes, is_symmetric=is_exclusive))
        done = subprocess.run(words, input=script, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
