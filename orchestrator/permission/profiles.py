"""May a launch do what this profile says? It is often somebody else's, and comes with a study.

A profile in the user's own folder is the user's own; one beside a study, or named by its path, is
asked about once, as it stands: what it runs, what it sets, where it sends a token.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import UserError
from cluster.storage import Storage
from orchestrator.permission.configuration import configured_paths
from orchestrator.permission.confirmation import Ask
from orchestrator.permission.own_files import (
    configuration_path,
    known_profiles_path,
    profiles_folder,
    remember,
    remembered,
    require_own,
)


def require_permitted_profile(
    path: Path, text: str, uses: Sequence[str], root: Storage, ask: Ask | None
) -> None:
    """Check that the user allows what a profile does.

    Args:
        path: its file.
        text: what the file says; another text is asked about again.
        uses: what needs permission, one phrase each.
        root: the output root of the launch.
        ask: asks the user; None where nobody can be asked.

    Raises:
        UserError: the user does not allow it, or nobody can be asked.
    """
    if not uses:
        return
    path = path.resolve()
    if path.parent == profiles_folder().resolve():
        require_own(path, root)
        return
    configured = configured_paths(root, "profiles")
    if path in configured:
        return
    memory = known_profiles_path()
    known, entry = remembered(memory, root), {"path": str(path), "sha256": _digest(text)}
    if entry in known:
        return
    listed = "\n".join(f"  {use}" for use in uses)
    if ask is not None and ask(f"profile {path}\n{listed}\nAllow it, as it stands now?"):
        remember(memory, [*known, entry])
        return
    why = "you did not allow" if ask else "has not been allowed, and nobody can be asked here"
    raise UserError(
        f"the profile {'; '.join(uses)}: that {why}",
        where=str(path),
        hint=f"where it is meant, move it into {profiles_folder()}, or write into "
        f"{configuration_path()}:\nprofiles: [{path}]",
        code="permission-needed",
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
