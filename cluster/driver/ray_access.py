"""Whether a running Ray lets this process in: its address, its token and its versions.

A first look costs a third of a second; Ray alone would try for minutes, and then say that it failed
to connect.
"""

import ipaddress
import os
import platform
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass

if TYPE_CHECKING:
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.%]{2,60}\]|[0-9A-Fa-f:.]{2,60}")
"""A host's name, as long as the domain name system allows, or an address."""
_CONNECT_S = 10.0
"""How long a Ray that is to be joined may take to answer."""
_HELD_S = 600
"""How long a Ray holds an archive for a job that has not begun; it is what Ray takes itself."""
AUTH_MODE = "RAY_AUTH_MODE"
TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
"""Ray's variables: its token, or the file that holds it."""
FIRST_MODE = "disabled"
"""The mode in which a Ray is first looked at, to learn whether it asks for a token. Ray reads it
when it is imported."""
OPEN_ALLOWED = "DELTASCALE_ALLOW_OPEN_RAY"
"""Variable by which a user joins a Ray beyond this machine that lets anybody in."""
_TOKENS = (
    "the launch takes the token that Ray itself would take: RAY_AUTH_TOKEN, the file that "
    "RAY_AUTH_TOKEN_PATH names, or ~/.ray/auth_token as it is on the head's machine"
)


def check_address(address: str) -> None:
    """Make sure that a text is an address of a Ray that can be joined, without asking anybody.

    Raises:
        UserError: it is none.
    """
    host, _, port = address.rpartition(":")
    if address != "auto" and (
        not _HOST.fullmatch(host)
        or not (port.isascii() and port.isdigit())
        or len(port) > 5
        or int(port) > 65535
    ):
        raise UserError(
            f"{address[:100]!r} is no address of a Ray that can be joined",
            where="--address",
            allowed=["host:port", "auto"],
            hint="the launch runs on one of the Ray's own nodes: give the head's host:port, not "
            "one of Ray Client"
            if address.startswith("ray://")
            else None,
        )


def find_address() -> str:
    """Return `host:port` of the one Ray on this machine. Raises ConnectionError."""
    from ray._private.services import canonicalize_bootstrap_address_or_die

    return str(canonicalize_bootstrap_address_or_die("auto"))


def require_address(address: str) -> None:
    """Make sure that something listens at an address, unless Ray is to find it itself (`auto`).

    Raises:
        UserError: it is no address of a Ray.
        SurroundingsError: nothing answers there.
    """
    check_address(address)
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, UnicodeError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise SurroundingsError(
            f"Ray cannot be joined: nothing answers ({reason})",
            where=address,
            fault_class=FaultClass.CLUSTER,
            code="cluster-unreachable",
        ) from fault


def enter(address: str, *, is_open_allowed: bool) -> str | None:
    """Make sure that the Ray at an address takes this process, with a token where it asks for one.

    Args:
        address: `host:port` of the head.
        is_open_allowed: whether one beyond this machine may let anybody in.

    Returns:
        What the user has to know of this Ray, or None.

    Raises:
        SurroundingsError: it wants another token, lets anybody in, or has other versions.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError

    warning = None
    assert os.environ[AUTH_MODE] == FIRST_MODE, "Ray would show a token before it is asked for one"
    try:
        client = GcsClient(address=address)
        warning = _open(address, is_open_allowed=is_open_allowed)
    except AuthenticationError:
        client = _client_with_token(address)
    _require_versions(client, address)
    return warning


def hold_package(address: str, archive: Path) -> None:
    """Have a Ray keep an archive that is about to be sent to it, until the job that needs it is on.

    Another launch of the same code may end meanwhile, and take along what no other job names.

    Args:
        address: `host:port` of the head, which was entered.
        archive: a zip file, by whose content Ray names it.
    """
    from ray._private.runtime_env.packaging import get_uri_for_package
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # Cython: no types

    GcsClient(address=address).pin_runtime_env_uri(get_uri_for_package(archive), _HELD_S)


def _client_with_token(address: str) -> "GcsClient":
    from ray._private.authentication.authentication_token_setup import _enable_token_auth
    from ray._raylet import AuthenticationTokenLoader, GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError

    loader = AuthenticationTokenLoader.instance()
    loader.reset_cache()
    try:
        has_token = loader.has_token(ignore_auth_mode=True)
    except Exception as fault:  # Ray's own, for a file that is missing, empty or cannot be read
        file = os.environ.get(TOKEN_PATH, "~/.ray/auth_token")
        raise _refusal(
            f"it asks for a token (authentication), and the file {file} holds none", address
        ) from fault
    if not has_token:
        raise _refusal("it asks for a token (authentication), and there is none here", address)
    _enable_token_auth()
    try:
        return GcsClient(address=address)
    except AuthenticationError as fault:
        raise _refusal("it does not take this token (authentication)", address) from fault


def _refusal(why: str, address: str) -> SurroundingsError:
    return SurroundingsError(
        f"Ray cannot be joined: {why}",
        where=address,
        hint=_TOKENS,
        fault_class=FaultClass.PERMISSION,
    )


def _open(address: str, *, is_open_allowed: bool) -> str:
    """Return a warning about a Ray that lets anybody in, or refuse it."""
    said = f"the Ray at {address} asks nobody for a token: whoever reaches it can run code as you"
    if not is_open_allowed and not is_loopback(address):
        raise SurroundingsError(
            f"Ray is not joined: {said}",
            where=address,
            hint="make a token (`ray get-auth-token --generate`) and start every node with "
            f"{AUTH_MODE}=token; or, where the network is yours alone, join it as it is with "
            f"{OPEN_ALLOWED}=1",
            fault_class=FaultClass.PERMISSION,
        )
    return said


def is_loopback(address: str) -> bool:
    """Return True when an address can only be reached from this machine."""
    host = address.rpartition(":")[0].strip("[]") or address
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_this_machine(address: str) -> bool:
    """Return True when the host of `host:port` is an address of this machine, loopback or not."""
    host = address.rpartition(":")[0].strip("[]") or address
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _, place in found:
        try:
            with socket.socket(family, kind, protocol) as ours:
                ours.bind((place[0], 0))  # the kernel refuses what is no address of its own
                return True
        except OSError:
            continue
    return False


def _require_versions(client: "GcsClient", address: str) -> None:
    """Raise SurroundingsError when the cluster has another Ray or Python than this process."""
    import ray
    from ray._common.usage.usage_lib import get_cluster_metadata

    metadata = get_cluster_metadata(client)
    if not metadata:
        return
    theirs = (str(metadata["ray_version"]), str(metadata["python_version"]))
    ours = (ray.__version__, platform.python_version())
    if theirs != ours:
        raise SurroundingsError(
            f"Ray cannot be joined: the cluster runs Ray {theirs[0]} under Python {theirs[1]}, "
            f"this launch Ray {ours[0]} under Python {ours[1]}",
            where=address,
            hint="start every node and the launch from the same environment",
            fault_class=FaultClass.MISTAKE,
            code="versions-differ",
        )
