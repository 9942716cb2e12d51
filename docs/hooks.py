"""Changes that mkdocs makes to pages: lists of modules, and nothing from the network."""

import re
from pathlib import Path
from typing import Any

_FOLDER = re.compile(r"^::: ([a-z_/]+)/\*$", re.MULTILINE)
_FROM_NETWORK = "https://unpkg.com/iframe-worker/shim"
_FROM_DISK = "javascripts/search_from_disk.js"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page's text with one `::: module` for each module of the folders that it names."""
    return _FOLDER.sub(lambda match: _modules(Path(match[1])), markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Return a built page whose search needs no script from the network."""
    return output.replace(_FROM_NETWORK, "../" * page.url.count("/") + _FROM_DISK)


def on_post_template(output_content: str, **_: Any) -> str:
    """Return a built template (the page for what does not exist), changed in the same way."""
    return output_content.replace(_FROM_NETWORK, _FROM_DISK)


def _modules(folder: Path) -> str:
    modules = sorted(file.with_suffix("") for file in folder.glob("[a-z]*.py"))
    return "\n\n".join(f"::: {'.'.join(module.parts)}" for module in modules)
