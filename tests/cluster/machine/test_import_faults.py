"""Errors of a library's import name the variables that may be why; other errors name none."""

import importlib
import os
import subprocess
import sys

import pytest

from cluster.errors import UserError
from cluster.machine.import_faults import import_fault

LIBRARY = """
import os
LEVEL = int(os.environ.get("READSTHEM_LEVEL", 3))
def work(number):
    raise ValueError(f"invalid literal: {number!r}")
"""


@pytest.fixture
def fault(tmp_path, monkeypatch):
    """A function: variables, what to import -> the fault that is known of it."""
    (tmp_path / "readsthem.py").write_text(LIBRARY)
    (tmp_path / "usesthat.py").write_text("import readsthem\n")
    (tmp_path / "brokenlib.py").write_text("raise RuntimeError('it cannot begin')\n")
    monkeypatch.syspath_prepend(tmp_path)

    def met(variables, name, called=None):
        for module in ("readsthem", "usesthat", "brokenlib"):
            sys.modules.pop(module, None)
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        try:
            module = importlib.import_module(name)
            if called is not None:
                module.work(called)
        except Exception as error:
            return import_fault(error, os.environ)
        raise AssertionError("nothing was raised")

    return met


@pytest.mark.parametrize("name", ["readsthem", "usesthat"])
def test_the_variable_whose_value_an_import_could_not_read_is_certain(fault, name):
    variables = {"READSTHEM_LEVEL": "high", "READSTHEM_OTHER": "5", "UNRELATED_HIGH": "high"}
    known = fault(variables, name)
    assert (known.library, known.variables) == ("readsthem", ("READSTHEM_LEVEL",))
    assert known.is_certain and "READSTHEM_LEVEL" in str(known)


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_value_that_an_import_could_not_read_is_certain(fault, empty):
    """As files of containers leave them: `VARIABLE=${NOT_SET}`."""
    known = fault({"READSTHEM_LEVEL": empty, "READSTHEM_OTHER": "5"}, "readsthem")
    assert (known.variables, known.is_certain) == (("READSTHEM_LEVEL",), True)


def test_an_empty_variable_is_not_suspected_of_what_it_is_not_told_in(fault):
    known = fault({"BROKENLIB_A": "1", "BROKENLIB_B": ""}, "brokenlib")
    assert (known.variables, known.is_certain) == (("BROKENLIB_A",), False)
    assert fault({"BROKENLIB_A": "", "BROKENLIB_B": ""}, "brokenlib") is None


def test_what_else_is_set_for_a_library_is_named_where_nothing_is_certain(fault):
    variables = {"BROKENLIB_A": "1", "BROKENLIB_TOKEN": "a-secret", "UNRELATED": "1"}
    known = fault(variables, "brokenlib")
    assert (known.variables, known.is_certain) == (("BROKENLIB_A",), False)


def test_an_error_that_no_import_raised_or_of_a_library_without_variables_is_none(fault):
    assert fault({"READSTHEM_LEVEL": "3"}, "readsthem", called="3") is None
    assert fault({}, "brokenlib") is None
    assert import_fault(UserError("ours"), {"READSTHEM_LEVEL": "3"}) is None
    assert import_fault(ValueError("abc"), {"TQDM_MININTERVAL": "abc"}) is None


@pytest.mark.parametrize(
    ("library", "name", "value"),
    [
        ("tqdm", "TQDM_MININTERVAL", "abc"),
        ("huggingface_hub.constants", "HF_HUB_ETAG_TIMEOUT", "x"),
        ("huggingface_hub.constants", "HF_HUB_ETAG_TIMEOUT", ""),
        ("torch", "TORCH_LOGS", "garbage"),
        ("torch.distributed", "TORCH_DISTRIBUTED_DEBUG", "garbage"),
    ],
)
def test_real_libraries_are_known(library, name, value):
    program = f"""
import os
from cluster.machine.import_faults import import_fault
try:
    import {library}
except Exception as error:
    known = import_fault(error, os.environ)
    print(known.is_certain, *known.variables)
"""
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert told.stdout.split() == ["True", name]


def test_a_clash_of_versions_is_no_fault_of_a_variable_that_holds_a_part_of_its_path(
    fault, tmp_path
):
    (tmp_path / "clashing.py").write_text("from readsthem import absent\n")
    known = fault({"READSTHEM_LEVEL": "3", "CLASHING_HOME": str(tmp_path)}, "clashing")
    assert not known.is_certain
