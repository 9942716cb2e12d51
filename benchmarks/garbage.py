"""Time and memory of `gc` on a local root with 100,000 artifacts, in fresh processes.

    python -m benchmarks.garbage [--artifacts 100000]

Half of them a launched study asks for: each holds an attempt that won and one that did not. The
other half is superseded. What is there first is listed, then deleted, then a clean root is listed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster.storage import Storage
from jobs.artifacts.artifact import FileEntry, Record
from orchestrator.records.root_file import root_id

_MEASURED = """
import resource, sys, time
began = time.perf_counter()
from orchestrator.cli import main
code = main(["gc", "--root", sys.argv[1], *sys.argv[2:]])
seconds = time.perf_counter() - began
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(code, seconds, time.process_time(), memory, file=sys.stderr)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--artifacts", type=int, default=100_000)
    number = parser.parse_args().artifacts
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "root")
        _fill(root, number)
        print(f"{f'{number} artifacts':24}{'wall':>9}{'processor':>12}{'RSS':>9}  last line")
        _measure("gc", root)
        _measure("gc --apply", root, "--apply")
        _measure("gc, nothing to delete", root)


def _measure(what: str, root: Path, *words: str) -> None:
    command = [sys.executable, "-c", _MEASURED, str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, seconds, processor, memory = map(float, done.stderr.split()[-4:])
    assert code == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    print(f"{what:24}{seconds:>7.1f} s{processor:>10.1f} s{memory:>6.0f} MB  {last}")


def _fill(folder: Path, number: int) -> None:
    """Leave what launches leave."""
    root = Storage(folder)
    root_id(root)
    wanted = []
    for at in range(number):
        key = f"{at:016x}" + "0" * 48
        is_wanted = at % 2 == 0
        place = folder / "artifacts" / "probe" / key[:16]
        for attempt in ("20261128T120000-000000-000001", *(["20261127T120000-a"] * is_wanted)):
            inside = place / "attempts" / attempt
            inside.mkdir(parents=True)
            (inside / "log.txt").write_text("one line\n")
            (inside / "progress.json").write_text('{"fraction": 1.0, "at": 0}')
            (inside / "probe.txt").write_text(f"{at:09d}\n")
        record = Record(
            key=key,
            kind="probe",
            attempt="20261128T120000-000000-000001",
            files={"probe.txt": FileEntry(bytes=10, xxh3="0" * 16)},
        )
        (place / "record.json").write_bytes(record.to_json())
        (place / "job.json").write_text(json.dumps({"key": key, "kind": "probe"}))
        (place / "claim").touch()
        if is_wanted:
            wanted.append({"cell": {}, "key": key, "kind": "probe"})
    index = {"study": "s", "file": "s.yaml", "folder": "/", "stages": {"one": wanted}}
    root.write("studies/s/index.json", json.dumps(index).encode())


if __name__ == "__main__":
    main()
