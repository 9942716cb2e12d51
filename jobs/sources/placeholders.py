"""What lies in place of a file: pointers of Git LFS and its like, web pages, links to nothing.

Each is one UserError that names the file and how to get it. Looked at are first bytes alone.
"""

import codecs
import os
import shlex
from pathlib import Path

from cluster.errors import UserError

PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
"""What a Python pickle begins with, by its protocol."""
HEAD_BYTES = 512
"""Bytes that are looked at."""
_POINTERS = {
    b"version https://git-lfs.github.com/spec/": ("a Git LFS pointer", "git lfs pull"),
    b"version https://hawser.github.com/spec/": ("a Git LFS pointer", "git lfs pull"),
    b"# xet version": ("a pointer of git-xet", "git xet checkout"),
    b"/annex/objects/": ("a pointer of git-annex", "git annex get ."),
}
"""What a file begins with -> what it is, and the command, run in its folder, that gets the file."""
_TARGETS = {
    "annex/objects/": "get the file: cd {} && git annex get .",
    "blobs/": "a hub cache holds links from snapshots/ to blobs/: move or copy it whole, links and "
    "all (cp -a, rsync -a), or download it again with `hf download`",
}
"""Part of the name that a link has -> how to get what it names."""
_PAGES = (b"<!doctype html", b"<html", b"<error>")
_ANSWERS = (
    *(b"access denied", b"access to model", b"access to dataset", b"accessdenied"),
    *(b"entry not found", b"repository not found", b"not found", b"404", b"403 forbidden"),
    *(b"invalid username or password", b"unauthorized", b"401 unauthorized", b"forbidden"),
    *(b"too many requests", b"429 too many", b"internal server error", b"bad gateway"),
)
"""What servers write in place of a file, in one line."""
_OF_CELLS = (b",", b";", b"\t", b"|")
_TEXT = frozenset(range(32, 127)) | frozenset(b"\t\r\n")
_AGAIN = (
    "the download was answered by {what}, perhaps for a login: download the file itself "
    "(on the hub: /resolve/ in its address, not /blob/; `hf download` does it whole)"
)


def refuse_placeholder(path: Path, head: bytes, *, called: str, where: str) -> None:
    """Raise UserError for a pointer, a web page or a server's answer in place of a file.

    Args:
        path: the file.
        head: its first `HEAD_BYTES` bytes.
        called: the file, in the sentence.
        where: its place in errors.
    """
    head = head.removeprefix(codecs.BOM_UTF8)
    for beginning, (what, command) in _POINTERS.items():
        if head.startswith(beginning):
            raise UserError(
                f"{called} is {what}, not the file itself",
                where=where,
                hint=f"get the file: cd {path.parent} && {command}",
            )
    start = head.lstrip().lower()
    may_be_page = start.startswith((b"<!--", b"<?xml"))
    is_page = start.startswith(_PAGES) or (may_be_page and any(page in start for page in _PAGES))
    if is_page:
        raise UserError(
            f"{called} is a web page, not the file itself",
            where=where,
            hint=_AGAIN.format(what="a page"),
        )
    is_short = len(head) < HEAD_BYTES and b"\n" not in head.strip()
    if is_short and ".txt" not in path.suffixes and _is_answer(start):
        raise answered_instead(head, called=called, where=where)


def _is_answer(start: bytes) -> bool:
    """Tell what a server says from the first cell of a row, such as `404,405`."""
    said = next((words for words in _ANSWERS if start.startswith(words)), None)
    return said is not None and start[len(said) : len(said) + 1] not in _OF_CELLS


def require_target(path: Path, where: str) -> None:
    """Raise UserError for a link whose target is gone, and for a folder in place of a file."""
    if path.is_symlink() and not path.exists():
        target = os.readlink(path)
        known = (hint for part, hint in _TARGETS.items() if part in target)
        raise UserError(
            f"{path.name} is a link to {target}, which is not there",
            where=where,
            hint=next(known, "copy the files themselves (cp -L, rsync -L)").format(path.parent),
        )
    if path.is_dir():
        raise UserError(f"{path.name} is a folder, not a file", where=where)


def pointer_beside(path: Path) -> str | None:
    """Say how to get what is not there, where a pointer of DVC or iCloud lies beside it."""
    for name, command in (
        (f"{path.name}.dvc", f"dvc pull {shlex.quote(f'{path.name}.dvc')}"),
        (f".{path.name}.icloud", f"brctl download {shlex.quote(path.name)}"),
    ):
        if (path.parent / name).is_file():
            place = shlex.quote(str(path.parent))
            return f"{name} is a pointer to it: get the file by cd {place} && {command}"
    return None


def is_plain_text(head: bytes) -> bool:
    """Tell the first bytes of an ASCII text from those of a file of numbers."""
    return bool(head) and _TEXT.issuperset(head)


def answered_instead(head: bytes, *, called: str, where: str) -> UserError:
    """Make the fault for a text where a file should be: what a server answered, most likely."""
    text = " ".join(head.decode("utf-8", "replace").split())
    return UserError(
        f"{called} is a text, not the file itself: {text[:80]!r}",
        where=where,
        hint=_AGAIN.format(what="a text"),
    )
