"""What tests on pretended GPUs share with those of jobs."""

from tests.jobs.conftest import _no_mirror, moved, root  # noqa: F401
