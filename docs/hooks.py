"""Changes that mkdocs makes to pages: lists that cannot rot, and nothing from the network."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FOLDER = re.compile(r"^::: ([a-z_/]+)/\*$", re.MULTILINE)
_PARAMS = "::: params"
_GPU_RESULTS = "::: gpu-results"
_FROM_NETWORK = "https://unpkg.com/iframe-worker/shim"
_FROM_DISK = "javascripts/search_from_disk.js"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page's text with its lists filled in.

    `::: folder/*` becomes one `::: module` for each module of the folder, `::: params` a section
    for each kind of job, `::: gpu-results` the newest results of `make gpu-check`.
    """
    markdown = _FOLDER.sub(lambda match: _modules(Path(match[1])), markdown)
    for directive, lines in ((_PARAMS, _params), (_GPU_RESULTS, _gpu_results)):
        if directive in markdown:
            markdown = markdown.replace(directive, "\n".join(lines()))
    return markdown


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Return a built page whose search needs no script from the network."""
    return output.replace(_FROM_NETWORK, "../" * page.url.count("/") + _FROM_DISK)


def on_post_template(output_content: str, **_: Any) -> str:
    """Return a built template (the page for what does not exist), changed in the same way."""
    return output_content.replace(_FROM_NETWORK, _FROM_DISK)


def _modules(folder: Path) -> str:
    modules = sorted(file.with_suffix("") for file in folder.glob("[a-z]*.py"))
    return "\n\n".join(f"::: {'.'.join(module.parts)}" for module in modules)


def _gpu_results() -> Iterator[str]:
    root = str(Path(__file__).parents[1])
    if root not in sys.path:  # benchmarks are no part of the package that is installed
        sys.path.insert(0, root)
    from benchmarks.gpu.results import page

    yield from page()


def _params() -> Iterator[str]:
    from jobs.kind import KINDS

    for name in KINDS.names():
        params = KINDS.find(name).Params
        yield f"## `{name}`\n\n| param | default | what |\n|---|---|---|"
        for param, field in params.model_fields.items():
            is_execution = (field.json_schema_extra or {}).get("execution")
            default = "required" if field.is_required() else f"`{_written(field)}`"
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            yield f"| `{param}`{' (execution)' if is_execution else ''} | {default} | {meaning} |"
        yield ""


def _written(field: Any) -> str:
    default = field.get_default(call_default_factory=True)
    return json.dumps(default, default=list).replace("|", "\\|")
