"""Lists the modules of a folder where a page says `::: folder/*`, so that no list can rot."""

import re
from pathlib import Path

_FOLDER = re.compile(r"^::: ([a-z_/]+)/\*$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return a page's text with one `::: module` for each module of the folders that it names."""
    return _FOLDER.sub(lambda match: _modules(Path(match[1])), markdown)


def _modules(folder: Path) -> str:
    modules = sorted(file.with_suffix("") for file in folder.glob("[a-z]*.py"))
    return "\n\n".join(f"::: {'.'.join(module.parts)}" for module in modules)
