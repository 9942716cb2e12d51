"""Records what the SLURM of this machine says: `python -m tests.slurm_site.record`.

Into `recorded/VERSION.yaml`: name -> command, exit code and output. What other versions say is
written after their documentation in files beside it, whose first lines say so.
"""

import subprocess
from pathlib import Path

import yaml

from tests.slurm_site.configuration import Site
from tests.slurm_site.running import RunningSite, running

RECORDED = Path(__file__).parent / "recorded"
FIELDS = "%i|%T|%r|%M|%l|%D|%N|%P|%S|%j"
SLEEP = "sbatch --parsable --output=/dev/null --mem=100"
UNCOMMON = {
    "no such partition": "--partition=nosuch",
    "too much memory": "--mem=900G",
    "too many processors": "--cpus-per-task=64",
    "GPUs where none are": "--gres=gpu:1",
    "no such feature": "--constraint=nosuch",
    "no time": "--time=nosuch",
    "after no job": "--dependency=afterany:999",
    "no such flag": "--nosuch",
}
HEAD = """\
# What SLURM {version} (Debian's slurm-wlm) said, recorded on {day} by
# `python -m tests.slurm_site.record`. Blanks at the ends of lines are left out.
"""


class _Dumper(yaml.SafeDumper):
    pass


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


class Recorder:
    """Runs commands at a site and keeps what they said."""

    def __init__(self, site: RunningSite) -> None:
        self.site = site
        self.records: dict[str, dict[str, object]] = {}

    def __call__(self, name: str, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the shell at the login host and keep its outcome under a name."""
        done = self.site.command("bash", "-c", command)
        self.records[name] = {
            "command": command,
            "exit": done.returncode,
            "stdout": _without_blanks(done.stdout),
            "stderr": _without_blanks(done.stderr),
        }
        return done


def _without_blanks(text: str) -> str:
    """Leave out blanks at the ends of lines, and where this was run."""
    text = text.replace(str(Path.cwd()), "/scratch/me")
    return "\n".join(line.rstrip().expandtabs() for line in text.split("\n"))


def _record_queue(record: Recorder) -> None:
    site = record.site
    site.jobs()  # the first answer of a new controller is slow
    running = record("sbatch", f"{SLEEP} --time=10 --job-name=one --wrap='sleep 1000'").stdout
    number = running.strip()
    site.wait_for(number, "RUNNING")
    # `--jobs` is passed over with `--json`: this is the only job so far.
    record("squeue --json", f"squeue --json --jobs={number}")
    record("sbatch after another", f"{SLEEP} --dependency=afterany:{number} --wrap=true")
    record("sbatch beyond the time", f"{SLEEP} --partition=short --time=1-0 --wrap=true")
    record("sbatch beyond the nodes", f"{SLEEP} --nodes=9 --wrap=true")
    record("sbatch with a begin", f"{SLEEP} --begin=now+1hour --wrap=true")
    done = record("sbatch of an array", f"{SLEEP} --array=0-3%1 --begin=now+1hour --wrap=true")
    ended = record("sbatch that fails", f"{SLEEP} --wrap='exit 3'").stdout.strip()
    site.wait_for(ended, "FAILED")
    requeued = record("sbatch that is requeued", f"{SLEEP} --wrap='sleep 1000'").stdout.strip()
    site.wait_for(requeued, "RUNNING")
    record("scontrol requeue", f"scontrol requeue {requeued}")
    cancelled = record("sbatch that is cancelled", f"{SLEEP} --wrap='sleep 1000'").stdout.strip()
    site.wait_for(cancelled, "RUNNING")
    record("scancel", f"scancel {cancelled}")
    site.wait_for(cancelled, "CANCELLED")
    site.wait_for(requeued, "PENDING")
    record("sbatch without --parsable", "sbatch --output=/dev/null -N2 --exclusive --wrap=true")
    record("squeue", "squeue")
    record("squeue, fields", f"squeue --noheader --states=all --format='{FIELDS}'")
    record(
        "squeue, ids", f"squeue --noheader --jobs={number},{ended} --states=all --format='{FIELDS}'"
    )
    record("squeue of no job", "squeue --noheader --jobs=999")
    for name, job in {
        "running": number, "failed": ended, "requeued": requeued, "cancelled": cancelled,
        "of an array": done.stdout.strip(), "that is none": "999",
    }.items():  # fmt: skip
        record(f"scontrol show job {name}", f"scontrol show job {job}")
    record("scontrol show job, one line", f"scontrol --oneliner show job {number}")
    record("scancel of no job", "scancel 999")
    record("scontrol requeue of no job", "scontrol requeue 999")
    record("scontrol requeue of a waiting job", f"scontrol requeue {requeued}")
    record("scancel all", "scancel --user=root")


def _record_site(record: Recorder) -> None:
    record("version", "sinfo --version")
    record("sinfo", "sinfo")
    record("sinfo, fields", "sinfo --noheader --format='%P|%a|%l|%D|%c|%m|%G|%T|%N'")
    record("sinfo --json", "sinfo --json | head -c 4000")
    record("scontrol show config", "scontrol show config")
    record("scontrol show partition", "scontrol show partition main")
    record("scontrol show node", "scontrol show node n1")
    record("sacct without accounting", "sacct --jobs=1 --parsable2 --noheader")
    record("sacctmgr without accounting", "sacctmgr --noheader --parsable2 show account")
    record("sshare without accounting", "sshare")


def main() -> None:
    """Start sites, record what they say, write it down."""
    with running(Site()) as site:
        record = Recorder(site)
        _record_site(record)
        _record_queue(record)
        for name, flags in UNCOMMON.items():
            record(f"sbatch, {name}", f"{SLEEP} {flags} --wrap=true")
        site.daemons["slurmctld"].kill()
        for name in ("sbatch --wrap=true", "squeue --noheader", "scancel 1", "sinfo"):
            words = f"SLURM_CONF={site.folder}/slurm.conf {name}"
            record(f"no controller: {name.split()[0]}", f"{words} 2>&1 | cat")
        record("no configuration", "SLURM_CONF=/nonexistent sinfo")
        folder = str(site.folder)
    with running(Site(is_requeue_allowed=False, are_limits_enforced=True)) as site:
        strict = Recorder(site)
        number = strict("requeue forbidden: sbatch", f"{SLEEP} --wrap='sleep 100'").stdout.strip()
        site.wait_for(number, "RUNNING")
        strict("requeue forbidden: scontrol requeue", f"scontrol requeue {number}")
        limits = {
            "time": "--partition=short --time=1-0",
            "nodes": "--nodes=9",
            "account not of the partition": "--partition=closed --account=other",
            "account missing": "--partition=closed",
            "QOS not of the partition": "--partition=closed --account=proj --qos=slow",
        }
        for name, flags in limits.items():
            strict(f"limits enforced: {name}", f"{SLEEP} {flags} --wrap=true")
        strict_folder = str(site.folder)
    version = str(record.records["version"]["stdout"]).split()[-1]
    text = yaml.dump(
        {**record.records, **strict.records}, Dumper=_Dumper, sort_keys=False, width=200
    )
    text = text.replace(strict_folder, "/site").replace(folder, "/site")
    day = subprocess.run(["date", "+%F"], capture_output=True, text=True, check=True).stdout.strip()
    RECORDED.mkdir(exist_ok=True)
    head = HEAD.format(version=version, day=day)
    (RECORDED / f"{version}.yaml").write_text(head + text)


if __name__ == "__main__":
    main()
