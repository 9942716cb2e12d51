"""Lists that mkdocs fills in name everything that there is."""

import importlib.util
from pathlib import Path
from typing import Any

from benchmarks.gpu.part import PARTS, in_order
from jobs.kind import KINDS

_HOOKS = Path(__file__).parents[2] / "docs/hooks.py"


def test_the_page_of_gpus_has_every_part_of_their_check() -> None:
    page = _hooks().on_page_markdown("::: gpu-results\n")
    for name in in_order():
        assert f"## {PARTS.find(name).QUESTION}\n" in page


def test_the_page_of_params_has_every_param_of_every_kind() -> None:
    page = _hooks().on_page_markdown("::: params")
    for kind in KINDS.names():
        section = page.split(f"## `{kind}`\n")[1].split("\n## ")[0]
        for param in KINDS.find(kind).Params.model_fields:
            assert f"| `{param}`" in section


def _hooks() -> Any:
    specification = importlib.util.spec_from_file_location("hooks", _HOOKS)
    assert specification is not None and specification.loader is not None
    hooks = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(hooks)
    return hooks
