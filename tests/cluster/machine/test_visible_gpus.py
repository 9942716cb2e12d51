import pytest

from cluster.machine import visible_gpus
from cluster.machine.accelerators import find_accelerator
from cluster.machine.resources import this_machine
from cluster.machine.visible_gpus import Board, Gpu, choose_visible

BOARDS = tuple(
    Board(uuid=f"GPU-{letter}1-22", memory_gb=80.0 + at) for at, letter in enumerate("abcd")
)
PARTS = (
    Gpu(identifier="MIG-e1-1", memory_gb=10),
    Gpu(identifier="MIG-e1-2", memory_gb=10),
    Gpu(identifier="MIG-f2-3", memory_gb=20),
)
CUT = (
    Board(uuid="GPU-e1", memory_gb=80, is_cut=True, parts=PARTS[:2]),
    Board(uuid="GPU-f2", memory_gb=80, is_cut=True, parts=PARTS[2:]),
    Board(uuid="GPU-g3", memory_gb=80),
    Board(uuid="GPU-h4", memory_gb=80, is_cut=True),
)


@pytest.mark.parametrize(
    ("variable", "memories"),
    [
        (None, [80, 81, 82, 83]),
        ("0,1", [80, 81]),
        (" 3 , 0 ", [83, 80]),
        ("2,1,-1,0", [82, 81]),
        ("0,2,9,1", [80, 82]),
        ("1,1", []),
        ("", []),
        (" ", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("none", []),
        ("void", []),
        ("0,", [80]),
        (",0", []),
        ("0,NoDevFiles,1", [80]),
        ("GPU-b1-22,GPU-a1-22", [81, 80]),
        ("GPU-c", [82]),
        ("GPU-c1, GPU-d1", [82, 83]),
        ("GPU-", []),
        ("GPU-zz,GPU-a1-22", []),
        ("GPU-a1,1", [80]),
        ("0,GPU-b1-22", [80]),
        ("MIG-e1-1", []),
        ("1" * 5000, []),
    ],
)
def test_the_variable_is_read_as_cuda_reads_it(variable, memories):
    assert [gpu.memory_gb for gpu in choose_visible(variable, BOARDS)] == memories


@pytest.mark.parametrize(
    ("variable", "names"),
    [
        (None, ["MIG-e1-1", "MIG-e1-2", "MIG-f2-3", "GPU-g3"]),
        ("MIG-f2-3,MIG-e1-1", ["MIG-f2-3", "MIG-e1-1"]),
        ("MIG-f", ["MIG-f2-3"]),
        ("MIG-e1", []),
        ("MIG-GPU-f2/3/0", ["MIG-GPU-f2/3/0"]),
        ("1", ["MIG-f2-3"]),
        ("GPU-e1", ["MIG-e1-1"]),
        ("3", []),
        ("2,0", ["2", "MIG-e1-1"]),
    ],
)
def test_a_part_of_a_gpu_is_a_gpu_and_a_gpu_in_parts_is_none(variable, names):
    assert [gpu.identifier for gpu in choose_visible(variable, CUT)] == names


@pytest.mark.parametrize(
    ("variable", "count"),
    [(None, 0), ("0,1", 2), ("GPU-a,GPU-b", 2), ("MIG-a", 1), ("NoDevFiles", 0), ("0,-1,1", 1)],
)
def test_where_no_driver_answers_the_variable_is_believed(variable, count):
    assert len(choose_visible(variable, None)) == count


SMI = """#!/bin/sh
case "$1" in
  --list-gpus)
    echo "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)"
    echo "  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)"
    echo "  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)"
    echo "GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-71d2ffff-1a2b-4c3d-8e9f-001122334455)";;
  *mig.mode*) echo "40960, Enabled"; echo "40960, Disabled";;
  *) exit 2;;
esac
"""


@pytest.mark.parametrize(
    ("visible", "count", "memory_gb"),
    [
        (None, 3, 5),
        ("MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb", 1, 20),
        ("GPU-71d2ffff", 1, 42.9),
        ("1", 1, 42.9),
        ("NoDevFiles", 0, 0),
    ],
)
def test_a_machine_offers_parts_with_their_own_memory(
    tmp_path, monkeypatch, visible, count, memory_gb
):
    put_program(tmp_path, monkeypatch, SMI, visible)
    offered = this_machine()
    assert (offered.num_gpus, offered.gpu_memory_gb) == (count, memory_gb)


LISTS = {
    # In the formats that NVIDIA documents, of Ampere and Hopper, by drivers old and new.
    "7 equal parts": (
        ["GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-b8ea3855-276c-c9cb-b366-c6fa655957c5)"]
        + [
            f"  MIG 1g.10gb     Device  {number}: (UUID: MIG-fb42055e-9e53-5764-9278-{number:012d})"
            for number in range(7)
        ],
        "81559, Enabled",
        (7, 10, "H100 MIG 1g.10gb"),
    ),
    "unequal parts": (
        [
            "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-d8de4d7e-cb3f-5a2b-a9be-8c7ed0f7f9d4)",
            "  MIG 3g.20gb     Device  0: (UUID: MIG-bad62dde-0000-0000-0000-000000000001)",
            "  MIG 2g.10gb     Device  1: (UUID: MIG-bad62dde-0000-0000-0000-000000000002)",
            "  MIG 1g.5gb+me   Device  2: (UUID: MIG-bad62dde-0000-0000-0000-000000000003)",
        ],
        "40960, Enabled",
        (3, 5, "A100-40GB MIG 1g.5gb"),
    ),
    "compute instances": (
        [
            "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-d8de4d7e-cb3f-5a2b-a9be-8c7ed0f7f9d4)",
            "  MIG 1c.3g.20gb  Device  0: (UUID: MIG-GPU-d8de4d7e-cb3f-5a2b-a9be-8c7ed0f7f9d4/1/0)",
            "  MIG 2c.3g.20gb  Device  1: (UUID: MIG-GPU-d8de4d7e-cb3f-5a2b-a9be-8c7ed0f7f9d4/1/1)",
        ],
        "40960, Enabled",
        (2, 20, "A100-40GB MIG 1c.3g.20gb"),
    ),
    "one whole, one in parts": (
        [
            "GPU 0: NVIDIA H200 (UUID: GPU-00000000-0000-0000-0000-000000000001)",
            "GPU 1: NVIDIA H200 (UUID: GPU-00000000-0000-0000-0000-000000000002)",
            "  MIG 4g.71gb     Device  0: (UUID: MIG-00000000-0000-0000-0000-000000000003)",
        ],
        "143771, Disabled\\n143771, Enabled",
        (2, 71, "H200 MIG 4g.71gb"),
    ),
}


@pytest.mark.parametrize("case", LISTS)
def test_parts_are_counted_with_the_memory_and_the_product_of_their_profile(
    tmp_path, monkeypatch, case
):
    lines, sizes, (count, memory_gb, product) = LISTS[case]
    shown = "\n".join(lines)
    program = (
        f"#!/bin/sh\ncase \"$1\" in\n--list-gpus) cat <<'END'\n{shown}\nEND\n;;\n"
        f"*mig.mode*) printf '{sizes}\\n';;\n*) exit 2;;\nesac\n"
    )
    put_program(tmp_path, monkeypatch, program, None)
    offered = this_machine()
    assert (offered.num_gpus, offered.gpu_memory_gb) == (count, memory_gb)
    assert find_accelerator(offered.gpu_name, offered.gpu_memory_gb).name == product


@pytest.mark.parametrize(
    "program",
    [
        "#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate'; exit 9\n",
        "#!/bin/sh\nprintf '\\377\\376 no list\\n'\n",
        "no program\n",
    ],
)
def test_a_program_that_answers_oddly_shows_no_gpu(tmp_path, monkeypatch, program):
    put_program(tmp_path, monkeypatch, program, None)
    assert this_machine().num_gpus == 0


def test_a_program_that_never_answers_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(visible_gpus, "_PATIENCE_S", 0.2)
    put_program(tmp_path, monkeypatch, "#!/bin/sh\nexec sleep 30\n", "0,1")
    assert this_machine().num_gpus == 2  # what the variable says, as nobody knows better


def put_program(folder, monkeypatch, text, visible):
    file = folder / "nvidia-smi"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
