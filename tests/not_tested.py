"""Says at the end of a run, in one line, what was not tested for want of a tool.

A test that needs a tool has the tool's marker; where the tool is absent it is skipped.
"""

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import network_namespaces
from tests.slurm_site import running


@dataclass(frozen=True)
class Tool:
    """What some tests need and a machine may lack."""

    name: str
    """As the line calls it."""
    is_here: bool
    """Whether this machine has it."""


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
"""The browser that tests of the page drive."""

REAL_DATA = Path(os.environ.get("DELTASCALE_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""The folder of real data sets."""

COMPILER = shutil.which(os.environ.get("CXX", "c++"))
"""The compiler that makes torch see GPUs where there is none."""
_HAS_GPU = Path("/dev/nvidiactl").exists()

TOOLS = {
    "latex": Tool("pdflatex", shutil.which("pdflatex") is not None),
    "browser": Tool("Chromium", CHROMIUM is not None),
    "gpu": Tool("a GPU", _HAS_GPU),
    "fake_gpu": Tool(
        "a C++ compiler, to pretend GPUs where there is none",
        COMPILER is not None and not _HAS_GPU,
    ),
    "job_server": Tool(
        "what the head of a Ray needs to take jobs (deltascale[cluster])",
        all(find_spec(name) for name in ("grpc", "aiohttp", "aiohttp_cors", "prometheus_client")),
    ),
    "hosts": Tool("root and namespaces", network_namespaces.what_is_missing() is None),
    "slurm": Tool("root, namespaces and SLURM", running.what_is_missing() is None),
    "real_data": Tool(
        "real data (DELTASCALE_DATA)", (REAL_DATA / "paradetox" / "paradetox.tsv").exists()
    ),
}
"""Marker -> tool."""


def pytest_configure(config):
    for marker, tool in TOOLS.items():
        config.addinivalue_line("markers", f"{marker}: needs {tool.name}")


def pytest_runtest_setup(item):
    for marker, tool in TOOLS.items():
        if item.get_closest_marker(marker) and not tool.is_here:
            pytest.skip(f"{tool.name} is not here")


def pytest_unconfigure(config):
    """Write the line after all others."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a process of xdist
        return
    reports = reporter.stats.get("skipped", [])
    skipped = Counter(marker for marker in TOOLS for report in reports if marker in report.keywords)
    parts = [f"{TOOLS[marker].name} ({count} skipped)" for marker, count in skipped.items()]
    if "not gpu" in (config.option.markexpr or ""):
        parts.append(f"{TOOLS['gpu'].name} (left out by -m)")
    if parts:
        reporter.write_line(f"not tested for want of a tool: {', '.join(parts)}")
