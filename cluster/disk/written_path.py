"""A path as a user writes it: `~` and `~name` stand for homes."""

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
