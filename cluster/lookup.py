"""From an executor's name on the command line to the file that bears it."""

import importlib
from pathlib import Path
from typing import Any

from cluster.errors import unknown_name


def executor_names() -> list[str]:
    """Names of all executors; imports none."""
    return sorted(file.stem for file in (Path(__file__).parent / "executors").glob("[a-z]*.py"))


def executor_class(name: str) -> Any:
    """The class `Executor` behind a name. Raises UserError with what exists."""
    if name not in executor_names():
        raise unknown_name("executor", name, executor_names(), where="--executor")
    return importlib.import_module(f"cluster.executors.{name}").Executor
