"""A study goes from a login node into SLURM: scripts, ids, what was submitted, and back out."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator
from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.plan.submitted_study import open_submitted
from orchestrator.profiles.slurm.progress import progress_of
from orchestrator.records.lock import study_lock
from orchestrator.records.submissions import job_ids, latest_submission

PROFILE = """\
kind: slurm
root: {root}
nodes:
  - {{count: 4, cpus: 16, memory: 64GB, gpus: 2, gpu: A100-80GB, partition: gpu}}
  - {{count: 2, cpus: 32, memory: 128GB, partition: cpu}}
limits: {{time: 12h, account: proj}}
environment: {{modules: [cuda/12.4], variables: {{MY_FLAG: "a b"}}}}
"""
STUDY = """\
study: small
axes: {index: [1, 2, 3]}
stages:
  first: {kind: probe, over: [index], params: {index: "${index}"}}
  second: {kind: probe, inputs: {after: first}, params: {index: 7, waits: true, num_gpus: 1}}
"""
_SBATCH = """\
#!/bin/sh
last=$(cat {count} 2>/dev/null || echo 4710)
echo $((last + 1)) > {count}
echo "$*" >> {asked}
echo $((last + 1))
"""


@pytest.fixture
def cluster(home: Path, own: Path, answering, tmp_path: Path) -> Path:
    """Be at a login node, with a profile `hpc`; return the file of what sbatch was asked."""
    (own / "hpc.yaml").write_text(PROFILE.format(root=home / "root"))
    asked, program = tmp_path / "asked", tmp_path / "slurm-commands" / "sbatch"
    program.write_text(_SBATCH.format(count=tmp_path / "count", asked=asked))
    answering("squeue", "")
    answering("scontrol", "JobId=4711 JobState=PENDING Requeue=1\n")
    return asked


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "here" / "small.yaml"
    path.write_text(STUDY)
    return path


def launch(*words: str) -> int:
    return main(["launch", *words, "--on", "hpc"])


def test_a_study_is_cut_and_queued_and_one_id_is_said(cluster, file, home, capsys) -> None:
    assert launch(str(file), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["state"], said["job"]) == ("queued", "4711")
    assert [(one["stages"], one["jobs"], one["partition"]) for one in said["allocations"]] == [
        (["first"], ["4711"], "cpu"),
        (["second"], ["4712"], "gpu"),
    ]
    scripts = [Path(one["script"]) for one in said["allocations"]]
    assert cluster.read_text().splitlines() == [
        f"--parsable {scripts[0]}",
        f"--parsable --dependency=afterany:4711 {scripts[1]}",
    ]
    first, second = (script.read_text() for script in scripts)
    assert "#SBATCH --partition=cpu\n" in first and "--gres" not in first
    assert "#SBATCH --gres=gpu:2\n" in second and "#SBATCH --account=proj\n" in second
    assert "--only first" in first and "--only second" in second
    assert f"--on {scripts[0].parent}/profile.yaml" in first
    assert "export MY_FLAG='a b'" in first and "module load cuda/12.4" in first
    (code,) = (home / "state" / "deltascale" / "code").iterdir()
    assert (code / "jobs" / "run.py").is_file() and f"export PYTHONPATH={code}" in second
    for script in (first, second):
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    assert scripts[0].is_relative_to(home / "root" / "studies" / "small" / "slurm")


def test_failed_jobs_are_forgiven_once_not_in_every_allocation(cluster, file, home) -> None:
    assert main(["resume", str(file), "--on", "hpc"]) == 0
    submission = latest_submission(Storage(home / "root"), "small")
    scripts = [Path(one["script"]).read_text() for one in submission["allocations"]]
    verbs = [re.findall(r"launch\(\) .* orchestrator.cli (\w+)", script) for script in scripts]
    assert verbs == [["launch", "resume"], ["launch", "launch"]]


def test_paths_in_the_home_of_the_user_are_whole_in_scripts(cluster, file, own, home) -> None:
    path = own / "hpc.yaml"
    environment = "venv: ~/ven v, image: ~/in.sif"
    path.write_text(path.read_text().replace("modules: [cuda/12.4]", environment))
    assert launch(str(file)) == 0
    submission = latest_submission(Storage(home / "root"), "small")
    script = Path(submission["allocations"][0]["script"]).read_text()
    there = Path.home()
    assert f"source '{there}/ven v/bin/activate'" in script
    assert f"apptainer exec --nv {there}/in.sif " in script and "~/" not in script


def test_a_later_edit_does_not_change_what_is_queued(cluster, file, home) -> None:
    assert launch(str(file)) == 0
    root = Storage(home / "root")
    submission = latest_submission(root, "small")
    file.write_text(STUDY.replace("[1, 2, 3]", "[1, 2, 3, 4]"))
    queued = open_submitted(root, "small", submission["id"])
    assert list(queued.axes["index"].values) == ["1", "2", "3"]
    assert queued.folder == file.parent
    # What the batch script runs; in this process, without its Ray.
    words = ["launch", "small", "--submission", submission["id"], "--root", str(home / "root")]
    assert main([*words, "--executor", "local", "--only", "first"]) == 0
    assert progress_of(root, "small") == 3.0


def test_money_in_a_budget_is_counted_by_the_profile_as_it_was(cluster, file, own, home) -> None:
    path = own / "hpc.yaml"
    priced = (
        path.read_text().replace("partition: cpu", "partition: cpu, price: 2.0") + "currency: EUR\n"
    )
    path.write_text(priced)
    assert launch(str(file), "--budget", "500EUR") == 0
    submission = latest_submission(Storage(home / "root"), "small")
    script = Path(submission["allocations"][0]["script"])
    copy = script.parent / "profile.yaml"
    assert copy.read_text() == priced and f"--budget 500EUR --on {copy}" in script.read_text()
    path.unlink()
    words = ["launch", "small", "--submission", submission["id"], "--root", str(home / "root")]
    words += ["--budget", "500EUR", "--on", str(copy), "--executor", "local", "--only", "first"]
    assert main(words) == 0


def test_a_submission_that_is_not_there_is_answered_with_those_that_are(
    cluster, file, home, capsys
) -> None:
    assert launch(str(file)) == 0
    known = latest_submission(Storage(home / "root"), "small")["id"]
    words = ["launch", "small", "--submission", f"{known}x", "--root", str(home / "root")]
    assert main([*words, "--executor", "local"]) == 2
    assert known in capsys.readouterr().err


def test_a_study_in_the_queue_is_not_queued_again(cluster, file, answering, capsys) -> None:
    assert launch(str(file)) == 0
    answering("squeue", "4711|PENDING|Priority|12:00:00|N/A|\n")
    assert launch(str(file)) == 3
    said = capsys.readouterr().err
    assert "in the queue already: 4711 PENDING" in said and "--scancel" in said
    answering("squeue", "4711|FAILED|NonZeroExitCode|12:00:00|N/A|n1\n")
    assert launch(str(file)) == 0


def test_what_a_filled_root_lacks_is_said_before_anything_is_queued(
    cluster, file, home, monkeypatch, capsys
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody is there to be asked
    (home / "root" / "hub" / "models" / "org--other").mkdir(parents=True)
    file.write_text(
        "study: small\nstages:\n  base: {kind: pretrained, params: {source: hf://org/missing}}\n"
    )
    for words in (["--on", "hpc"], ["--root", str(home / "root"), "--executor", "local"]):
        assert main(["launch", str(file), *words]) == 2
        assert "not in the root: hf://org/missing at main" in capsys.readouterr().err
    assert not cluster.exists()


def test_a_budget_that_is_too_small_is_said_before_anything_is_queued(
    cluster, file, home, capsys
) -> None:
    root = ["--root", str(home / "root")]
    assert main(["launch", str(file), *root, "--executor", "local", "--only", "first"]) == 0
    assert launch(str(file), "--budget", "0.0001MB") == 0
    assert "may be too small" in capsys.readouterr().err


def test_two_launches_at_once_queue_a_study_once(cluster, file, home, tmp_path) -> None:
    program, second = tmp_path / "slurm-commands" / "sbatch", tmp_path / "second"
    again = f"{sys.executable} -m orchestrator.cli launch {file} --on hpc > {second} 2>&1"
    racing = f"[ -e {second} ] || {{ {again}; echo $? >> {second}; }}\n"
    program.write_text(program.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{racing}"))
    assert launch(str(file)) == 0
    assert "another launch is handing 'small' to the queue" in second.read_text()
    assert second.read_text().endswith("3\n")
    assert len(cluster.read_text().splitlines()) == 2


def test_a_queue_that_does_not_answer_may_hold_the_study(
    cluster, file, home, answering, capsys
) -> None:
    assert launch(str(file)) == 0
    submission = latest_submission(Storage(home / "root"), "small")
    folder = Path(submission["allocations"][0]["script"]).parent
    (folder / "1" / "ended").write_text("0\n")
    answering("squeue", errors="slurm_load_jobs error: Unable to contact slurm controller", code=1)
    assert launch(str(file)) == 3
    assert "SLURM does not say whether it is still there" in capsys.readouterr().err
    (folder / "2" / "ended").write_text("0\n")
    assert launch(str(file)) == 0


def test_an_interruption_while_allocations_are_queued_takes_them_back(
    cluster, file, home, answering, tmp_path, capsys
) -> None:
    program = tmp_path / "slurm-commands" / "sbatch"
    program.write_text(program.read_text() + "[ $last = 4710 ] || kill -INT $PPID\n")
    taken = answering("scancel")
    assert launch(str(file)) == 130
    assert taken.read_text() == "4711 4712\n"
    assert latest_submission(Storage(home / "root"), "small") is None


def test_what_cannot_be_taken_back_can_be_cancelled_later(
    cluster, file, home, answering, tmp_path, capsys
) -> None:
    program = tmp_path / "slurm-commands" / "sbatch"
    program.write_text(program.read_text() + "kill -INT $PPID\n")
    answering("scancel", errors="scancel: error: Unable to contact slurm controller", code=1)
    assert launch(str(file)) == 130
    assert "4711 may still be in the queue" in capsys.readouterr().err
    submission = latest_submission(Storage(home / "root"), "small")
    assert job_ids(submission) == ["4711"]
    script = Path(submission["allocations"][0]["script"])
    assert (script.parent / "1" / "jobs").read_text() == "4711\n"
    assert (script.parent / "stopped").exists()
    # Another, whose id was not written before a launch was killed, is found by its script.
    answering("squeue", f"4712|{script}\n")
    answering("scancel").unlink()
    assert main(["cancel", "small", "--scancel", "--root", str(home / "root")]) == 0
    assert (tmp_path / "scancel.asked").read_text() == "4712 4711\n"


def test_a_job_whose_id_sbatch_did_not_say_is_found_by_its_script(
    cluster, file, home, answering, tmp_path
) -> None:
    folder, script = tmp_path / "slurm-commands", tmp_path / "script"
    (folder / "sbatch").write_text(
        f'#!/bin/sh\nfor script; do :; done; echo "$script" > {script}\n'
        "echo 'sbatch: error: Batch job submission failed: Socket timed out' >&2; exit 1\n"
    )
    queued = f'#!/bin/sh\n[ -e {script} ] && echo "4711|$(cat {script})"; echo "9|/other"\n'
    (folder / "squeue").write_text(queued)
    taken = answering("scancel")
    assert launch(str(file)) == 3
    assert taken.read_text() == "4711\n"


def test_takeover_takes_the_lease_of_a_holder_that_is_gone(cluster, file, capsys) -> None:
    remote = Storage("memory://takeover")
    words = [str(file), "--root", remote.url]
    with study_lock(remote, "small", "gone"):
        assert launch(*words) == 3
        assert "--takeover" in capsys.readouterr().err
        assert launch(*words, "--takeover") == 0
    assert len(cluster.read_text().splitlines()) == 2


def test_where_one_allocation_is_refused_the_others_are_taken_back(
    cluster, file, answering, home, tmp_path, capsys
) -> None:
    program = tmp_path / "slurm-commands" / "sbatch"
    refusing = program.read_text().replace(
        "echo $((last + 1))\n",
        '[ $last = 4710 ] || { echo "sbatch: error: Batch job submission failed: '
        'Invalid qos specification" >&2; exit 1; }\necho $((last + 1))\n',
    )
    program.write_text(refusing)
    taken_back = answering("scancel")
    assert launch(str(file)) == 2
    assert "you may not use this quality of service" in capsys.readouterr().err
    assert taken_back.read_text() == "4711\n"
    assert latest_submission(Storage(home / "root"), "small") is None


def test_where_a_queue_forbids_requeueing_jobs_follow_each_other(
    cluster, file, answering, capsys
) -> None:
    answering("scontrol", "JobId=4711 JobState=PENDING Requeue=0\n")
    assert launch(str(file), "--only", "first", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["allocations"][0]["jobs"] == ["4711", "4712", "4713", "4714"]
    asked = cluster.read_text().splitlines()
    assert all("--dependency=afternotok:" in line for line in asked[1:])
    script = Path(said["allocations"][0]["script"])
    assert (script.parent / "1" / "jobs").read_text().split() == said["allocations"][0]["jobs"]


def test_status_and_cancel_know_the_job(cluster, file, answering, home, capsys) -> None:
    assert launch(str(file)) == 0
    capsys.readouterr()
    root = ["--root", str(home / "root")]
    answering("squeue", "4711|PENDING|Resources|12:00:00|N/A|\n4712|PENDING|Dependency|1:00|N/A|\n")
    assert main(["status", "small", *root]) == 0
    assert "SLURM: job 4711 PENDING: waits for free nodes" in capsys.readouterr().out
    assert main(["cancel", "small", *root]) == 0
    assert "`--scancel` takes it out" in capsys.readouterr().out
    taken = answering("scancel")
    assert main(["cancel", "small", "--scancel", *root]) == 0
    assert taken.read_text() == "4712 4711\n"
    submission = latest_submission(Storage(home / "root"), "small")
    folder = Path(submission["allocations"][0]["script"]).parent
    assert (folder / "stopped").exists() and job_ids(submission) == ["4711", "4712"]
    assert main(["cancel", "small", "first", "--scancel", *root]) == 2


def test_status_is_that_of_the_job_that_ran_not_of_spare_ones_that_were_taken_back(
    cluster, file, answering, home, capsys
) -> None:
    answering("scontrol", "JobId=4711 JobState=PENDING Requeue=0\n")
    assert launch(str(file), "--only", "first") == 0
    ended = ["4711|FAILED|NonZeroExitCode|1:00|N/A|"]
    ended += [f"{job}|CANCELLED|Dependency|1:00|N/A|" for job in (4712, 4713, 4714)]
    answering("squeue", "\n".join([*ended, ""]))
    capsys.readouterr()
    assert main(["status", "small", "--root", str(home / "root")]) == 0
    assert "SLURM: job 4711 FAILED" in capsys.readouterr().out


def test_status_goes_by_the_root_alone_where_the_queue_says_nothing(
    cluster, file, home, answering, capsys
) -> None:
    assert launch(str(file)) == 0
    answering("squeue", errors="slurm_load_jobs error: Unable to contact slurm controller", code=1)
    submission = latest_submission(Storage(home / "root"), "small")
    folder = Path(submission["allocations"][0]["script"]).parent
    (folder / "1" / "ended").write_text("0\n")
    (folder / "2" / "started").write_text("4712\n")
    capsys.readouterr()
    assert main(["status", "small", "--root", str(home / "root"), "--json"]) == 0
    queue = json.loads(capsys.readouterr().out)["queue"]
    assert [one["ended"] for one in queue["allocations"]] == [0, None]
    assert "job 4712 has begun (allocation 2 of 2)" in queue["line"]


def test_a_damaged_record_of_what_is_queued_is_said_by_every_verb(
    cluster, file, home, answering, capsys
) -> None:
    assert launch(str(file)) == 0
    root = ["--root", str(home / "root")]
    (record,) = (home / "root" / "studies" / "small" / "slurm").glob("*/submission.json")
    record.write_text("{")
    taken, asked = answering("scancel"), cluster.read_text()
    capsys.readouterr()
    assert main(["status", "small", *root]) == 0
    assert "submission.json is damaged" in capsys.readouterr().out
    assert main(["cancel", "small", *root]) == 0
    assert "submission.json is damaged" in capsys.readouterr().err
    for words in (["cancel", "small", "--scancel", *root], ["launch", str(file), "--on", "hpc"]):
        assert main(words) == 3
        assert "submission.json is damaged" in capsys.readouterr().err
    assert not taken.exists() and cluster.read_text() == asked


def test_a_study_that_is_done_is_not_queued(cluster, file, home, capsys) -> None:
    root = ["--root", str(home / "root")]
    assert main(["launch", str(file), *root, "--executor", "local", "--only", "first"]) == 0
    capsys.readouterr()
    assert launch(str(file), "--only", "first") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert not cluster.exists()


def test_on_a_machine_without_slurm_it_is_said_where_to_run_this(
    cluster, file, answering, capsys
) -> None:
    answering("sbatch", errors="sbatch: fatal: Could not establish a configuration source", code=1)
    assert launch(str(file)) == 3
    assert "use a login node of the cluster" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("partition: gpu", "partition: 'g pu'"), "without spaces"),
        (("account: proj", "account: 'p;rm'"), "without spaces"),
        (("time: 12h", "time: 12"), "unit"),
        (("kind: slurm", "kind: slurm\nstart: symmetric-run"), "exclusive"),
        (("kind: slurm", "kind: slurm\noptions: ['--array=1-3']"), "itself"),
        (("modules: [cuda/12.4]", "venv: .venv"), "write the whole path"),
        (("modules: [cuda/12.4]", "venv: $HOME/venv"), "variables are not replaced"),
        (("modules: [cuda/12.4]", "image: here.sif"), "write the whole path"),
        (("kind: slurm", f"kind: slurm\nscratch: /{'x' * 21}"), "22 letters are too many"),
    ],
)
def test_what_cannot_stand_in_a_script_is_refused_with_its_line(
    cluster, file, own, change, message, capsys
) -> None:
    path = own / "hpc.yaml"
    path.write_text(path.read_text().replace(*change))
    assert launch(str(file)) == 2
    assert message in capsys.readouterr().err
    assert not cluster.exists()


def test_a_login_node_imports_nothing_heavy_and_stays_small(cluster, file, home) -> None:
    code = (
        "import re, sys; from orchestrator.cli import main\n"
        "for verb in ('plan', 'launch', 'status', 'cancel'):\n"
        "    code = main([verb, *sys.argv[1:]])\n"
        "    heavy = {'torch', 'ray', 'transformers'} & sys.modules.keys()\n"
        "    status = open('/proc/self/status').read()\n"  # ru_maxrss counts the parent's, too
        "    peak = int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) / 1000\n"
        "    if code or heavy or peak > 200: sys.exit(f'{verb}: {code} {heavy} {peak:.0f} MB')"
    )
    words = [sys.executable, "-c", code, str(file), "--on", "hpc"]
    checkout = str(Path(orchestrator.__file__).parent.parent)
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": checkout},
    )
    assert done.returncode == 0, done.stderr
