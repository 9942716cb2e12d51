import pytest

from cluster.machine.resources import Resources


@pytest.mark.parametrize(
    ("asked", "times"),
    [
        (Resources(num_cpus=1), 8),
        (Resources(num_cpus=0.1), 80),
        (Resources(num_cpus=3), 2),
        (Resources(num_cpus=1, num_gpus=1), 4),
        (Resources(num_cpus=1, num_gpus=2, memory_gb=40), 1),
        (Resources(num_cpus=9), 0),
    ],
)
def test_how_often_a_shape_fits(asked, times):
    assert asked.times_in(Resources(num_cpus=8, num_gpus=4, memory_gb=64)) == times


def test_resources_read_as_people_say_them():
    assert Resources(num_cpus=2, num_gpus=1, memory_gb=16).describe() == "2 CPUs, 1 GPU, 16 GB"
    assert Resources().describe() == "1 CPU"
