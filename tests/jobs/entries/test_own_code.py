"""An entry's code: what is digested is what runs, and nothing else is found."""

import hashlib

import pytest

from cluster.errors import UserError
from jobs.entries.own_code import code_of

ENTRY = b"from .._a import x\nfrom . import _b\n\nvalue = x + _b.y\n"
MODULES = {
    "metrics/spread.py": ENTRY,
    "metrics/other.py": b"value = 0\n",
    "metrics/_b.py": b"from .._lib.deep import y\n",
    "_a.py": b"def f():\n    from ._c import z\n    return z\n\nx = 1\n",
    "_c.py": b"z = 5\n",
    "_lib/__init__.py": b"",
    "_lib/deep.py": b"y = 10\n",
}


def test_the_code_is_the_file_and_every_own_module_that_it_imports_at_any_depth() -> None:
    code = code_of("metrics/spread.py", MODULES)
    assert set(code.modules) == set(MODULES) - {"metrics/other.py"}
    assert code.digests["_c.py"] == hashlib.sha256(b"z = 5\n").hexdigest()
    assert code.load().value == 11


@pytest.mark.parametrize("path", sorted(set(MODULES) - {"metrics/other.py"}))
def test_a_comment_in_any_of_them_is_other_code_and_both_live_side_by_side(path: str) -> None:
    before = code_of("metrics/spread.py", MODULES)
    after = code_of("metrics/spread.py", {**MODULES, path: MODULES[path] + b"# a comment\n"})
    assert before != after and before.digest != after.digest
    assert before.load() is not after.load()
    assert before.load() is before.load()


def test_a_file_that_is_not_imported_changes_nothing() -> None:
    before = code_of("metrics/spread.py", MODULES)
    after = code_of("metrics/spread.py", {**MODULES, "metrics/other.py": b"value = 1\n"})
    assert before == after and hash(before) == hash(after)


def test_equal_text_at_two_paths_is_two_entries() -> None:
    modules = {"metrics/a.py": b"value = 1\n", "metrics/b.py": b"value = 1\n"}
    assert code_of("metrics/a.py", modules) != code_of("metrics/b.py", modules)


def test_what_the_digest_does_not_hold_is_not_found_when_it_is_asked_for_at_run_time() -> None:
    entry = b"from importlib import import_module\nmodule = import_module('.._c', __package__)\n"
    code = code_of("metrics/spread.py", {**MODULES, "metrics/spread.py": entry})
    assert set(code.modules) == {"metrics/spread.py"}
    with pytest.raises(ModuleNotFoundError):
        code.load()


@pytest.mark.parametrize(
    ("entry", "error", "line"),
    [
        (b"x = = 1\n", "not Python", 1),
        (b"x = 1\n# caf\xe9\n", "not UTF-8", 2),
        (b"x = 1\0\n", "not Python", 1),
        (b"\nimport _a\n", "imported by their place", 2),
        (b"from _a import x\n", "imported by their place", 1),
        (b"from metrics._b import y\n", "imported by their place", 1),
        (b"import _b\n", "imported by their place", 1),
        (b"from ._none import y\n", "no own module metrics/_none.py", 1),
        (b"from .. import _none\n", "no own module _none.py", 1),
        (b"from ...beyond import y\n", "beyond the folder", 1),
        (b"a = 1\nb = open(__file__)\n", "cannot read files beside itself", 2),
    ],
)
def test_what_cannot_be_digested_or_read_is_refused_with_its_line(entry, error, line) -> None:
    with pytest.raises(UserError, match=error) as raised:
        code_of("metrics/spread.py", {**MODULES, "metrics/spread.py": entry})
    assert raised.value.where == f"metrics/spread.py:{line}"
