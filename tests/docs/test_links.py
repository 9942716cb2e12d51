"""Relative links of README, CONTRIBUTING and docs/ lead to files and headings that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PATH = re.compile(
    r"`((?:orchestrator|jobs|analysis|cluster|tests|studies|benchmarks|docs)/[\w./-]*)`"
)
_MODULE = re.compile(r"^::: ([\w./*]+)$", re.MULTILINE)


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> Iterator[str]:
    """Yield the anchor of every heading, as Python-Markdown and GitHub both make it."""
    for heading in _HEADING.findall(_prose(page)):
        words = re.sub(r"[^\w\s-]", "", heading.lower()).strip()
        yield re.sub(r"[\s]+", "-", words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_prose(page)):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_and_folder_that_a_page_names_exists(page: Path) -> None:
    names = _PATH.findall(_prose(page))
    placeholders = ("NAME.py", "MODEL_TYPE.py")
    assert not [
        name for name in names if not name.endswith(placeholders) and not (ROOT / name).exists()
    ]


def test_the_index_links_to_every_page() -> None:
    index = ROOT / "docs/index.md"
    linked = {(index.parent / link).resolve() for link in _LINK.findall(_prose(index))}
    assert set((ROOT / "docs").rglob("*.md")) - linked == {index}


def test_every_page_is_in_the_navigation_and_links_only_to_pages_of_the_site() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    docs = ROOT / "docs"
    for page in docs.rglob("*.md"):
        assert f" {page.relative_to(docs)}\n" in navigation, page
        for link in _LINK.findall(_prose(page)):
            if not re.match(r"\w+:|#", link):
                assert (page.parent / link.partition("#")[0]).resolve().is_relative_to(docs), link


def test_the_reference_names_modules_that_exist() -> None:
    for page in (ROOT / "docs/reference/api").glob("*.md"):
        for name in _MODULE.findall(page.read_text(encoding="utf-8")):
            path = (
                name.removesuffix("/*") if name.endswith("/*") else name.replace(".", "/") + ".py"
            )
            assert (ROOT / path).exists(), name


def test_every_file_and_name_that_says_where_to_look_exists() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Where to look\n")[2].partition("\n## ")[0]
    folders = ("orchestrator", "jobs", "analysis", "cluster", "docs")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.*")]
    code = "\n".join(file.read_text(encoding="utf-8") for file in files if file.suffix == ".py")
    names = re.findall(r"`([A-Za-z_][\w.]*)`", table)
    assert len(names) > 20
    for name in names:
        if name.endswith(".py"):
            assert name in {file.name for file in files}, name
        else:
            assert all(re.search(rf"\b{part}\b", code) for part in name.split(".")), name
