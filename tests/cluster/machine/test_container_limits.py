import math
import resource

import pytest

from cluster.machine import resources
from cluster.machine.container_limits import container_limits
from cluster.machine.resources import this_machine

GB = 10**9
V2 = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate\n"
V1 = (
    "33 23 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 23 0:32 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def host(folder, mounts, groups, files):
    """Write a host's `/proc` and `/sys/fs/cgroup` as a process sees them; return its root."""
    self = folder / "proc/self"
    self.mkdir(parents=True)
    (self / "mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + mounts)
    (self / "cgroup").write_text(groups)
    for name, text in files.items():
        file = folder / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return folder


def test_a_container_has_the_cores_and_memory_of_its_group(tmp_path):
    files = {"cpu.max": "200000 100000", "memory.max": 4 * GB, "memory.current": GB}
    limits = container_limits(host(tmp_path, V2.format(root="/"), "0::/\n", files))
    assert (limits.num_cpus, limits.memory_bytes, limits.free_bytes) == (2, 4 * GB, 3 * GB)


def test_the_tightest_of_nested_groups_counts(tmp_path):
    job = "system.slice/slurmstepd.scope/job_7"
    files = {
        f"{job}/memory.max": 64 * GB,
        f"{job}/cpu.max": "max 100000",
        f"{job}/step_0/user/task_0/memory.max": "max",
        f"{job}/step_0/user/task_0/cpu.max": "800000 100000",
        f"{job}/step_0/cpu.max": "350000 100000",
        f"{job}/step_0/memory.high": 48 * GB,
    }
    group = f"0::/{job}/step_0/user/task_0\n"
    limits = container_limits(host(tmp_path, V2.format(root="/"), group, files))
    assert (limits.num_cpus, limits.memory_bytes) == (3.5, 48 * GB)


def test_version_1_splits_its_controllers_and_writes_no_limit_as_a_number(tmp_path):
    files = {
        "cpu,cpuacct/slurm/uid_1/job_7/cpu.cfs_quota_us": 150000,
        "cpu,cpuacct/slurm/uid_1/job_7/cpu.cfs_period_us": 100000,
        "cpu,cpuacct/cpu.cfs_quota_us": -1,
        "cpu,cpuacct/cpu.cfs_period_us": 100000,
        "memory/slurm/uid_1/job_7/memory.limit_in_bytes": 8 * GB,
        "memory/slurm/uid_1/job_7/memory.usage_in_bytes": 5 * GB,
        "memory/slurm/uid_1/job_7/memory.stat": f"cache 9\ntotal_inactive_file {2 * GB}",
        "memory/memory.limit_in_bytes": 9223372036854771712,
    }
    groups = "4:memory:/slurm/uid_1/job_7\n2:cpu,cpuacct:/slurm/uid_1/job_7\n0::/\n"
    limits = container_limits(host(tmp_path, V1.format(root="/"), groups, files))
    assert (limits.num_cpus, limits.memory_bytes, limits.free_bytes) == (1.5, 8 * GB, 5 * GB)


@pytest.mark.parametrize("root", ["/docker/abc", "/"])
def test_a_container_that_is_told_the_path_of_the_host_finds_its_group(tmp_path, root):
    files = {"memory/memory.limit_in_bytes": 2 * GB}
    groups = "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n"
    limits = container_limits(host(tmp_path, V1.format(root=root), groups, files))
    assert (limits.num_cpus, limits.memory_bytes) == (math.inf, 2 * GB)


def test_without_limits_or_groups_nothing_is_limited(tmp_path):
    limits = container_limits(tmp_path)
    assert {limits.num_cpus, limits.memory_bytes, limits.free_bytes} == {math.inf}


def test_a_machine_offers_no_more_than_its_container(tmp_path, monkeypatch):
    files = {"cpu.max": "50000 100000", "memory.max": GB}
    folder = host(tmp_path, V2.format(root="/"), "0::/\n", files)
    monkeypatch.setattr(resources, "container_limits", lambda: container_limits(folder))
    offered = this_machine()
    assert (offered.num_cpus, offered.memory_gb) == (1, 1.0)


def test_a_limit_of_address_space_is_one_of_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (6 * GB, resource.RLIM_INFINITY))
    assert container_limits(tmp_path).memory_bytes == 6 * GB - 2_000_000_000  # of libraries
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (GB, resource.RLIM_INFINITY))
    assert container_limits(tmp_path).memory_bytes == 0
