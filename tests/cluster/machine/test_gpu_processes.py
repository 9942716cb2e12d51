"""Who computes on a GPU, in the formats of nvidia-smi."""

import pytest

from cluster.machine.gpu_processes import gpu_memory, gpu_processes, parse_process
from tests.cluster.machine.test_visible_gpus import put_program


@pytest.mark.parametrize(
    ("line", "described"),
    [
        ("GPU-5d5ba0d6, 4321, /usr/bin/python3.11, 58368", "python3.11 (pid 4321) 61.2 GB"),
        ("GPU-5d5ba0d6, 7, [Not Found], [N/A]", "[Not Found] (pid 7)"),
        ("GPU-5d5ba0d6, 8, [No Permission], 12", "[No Permission] (pid 8) 0.0 GB"),
        ("MIG-c6d4f1ef, 9, C:\\a, b\\tool, 1024 MiB", "C:\\a, b\\tool (pid 9) 1.1 GB"),
        ("GPU-5d5ba0d6, 10, , 1024", "a process (pid 10) 1.1 GB"),
    ],
)  # fmt: skip
def test_a_process_is_read_from_its_line(line, described):
    assert parse_process(line).describe() == described


@pytest.mark.parametrize("line", ["", "No running processes found", "a, b", "GPU-1, x, y, z"])
def test_what_is_no_process_is_none(line):
    assert parse_process(line) is None


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\necho ', ,'\n"])
def test_a_driver_that_names_nobody_is_no_fault(tmp_path, monkeypatch, program):
    put_program(tmp_path, monkeypatch, program, None)
    assert gpu_processes() == []


@pytest.mark.parametrize(
    ("name", "free"),
    [("0", 12), ("1", 900), ("GPU-5d5b", 12), ("77aa", 900), ("2", None), ("MIG-1", None),
     ("", None)],
)  # fmt: skip
def test_the_memory_of_a_gpu_is_read_by_its_number_or_name(tmp_path, monkeypatch, name, free):
    lines = "0, GPU-5d5ba0d6, 81920, 12\n1, GPU-77aa, 81920, 900\n2, GPU-99, [N/A], [N/A]\nbroken"
    put_program(tmp_path, monkeypatch, f"#!/bin/sh\ncat <<'.'\n{lines}\n.\n", None)
    about = gpu_memory(name)
    assert (about and (about.total, about.free)) == (free and (81920 * 2**20, free * 2**20))
