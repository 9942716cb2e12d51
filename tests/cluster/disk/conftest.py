"""Disks are waited for where they are what is tested."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def waits_for_the_disk():
    """Leave `os.fsync` as it is."""
