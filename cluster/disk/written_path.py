"""A path as a user writes it: `~` and `~name` stand for homes, and relative ones begin here."""

from pathlib import Path

from cluster.errors import UserError


def expanded(text: str, *, where: str | None = None) -> Path:
    """Return the path that a user means by a text.

    Args:
        text: what is written.
        where: file and line, or the option, where it is written.

    Raises:
        UserError: it names the home of a user who has none here.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        home = text.partition("/")[0]
        raise UserError(
            f"{home} is the home of no user of this machine",
            where=where or text,
            hint="write the whole path, or `./~…` for a name that begins with `~`",
        ) from None


def absolute(path: Path, *, what: str) -> Path:
    """Return a path from the top of the file system; a relative one begins in the working folder.

    Args:
        path: the path.
        what: what it is, for the message.

    Raises:
        UserError: it is relative, and the folder that this process stands in was deleted.
    """
    try:
        return path.absolute()
    except FileNotFoundError:
        raise UserError(
            f"the working folder was deleted, and {what} {str(path)!r} is to be found from there",
            where="this shell's folder",
            hint="`cd` to a folder that is there, or write the whole path",
        ) from None
