"""How a remote root is opened: which URLs are taken, and every option that s3fs is given.

Credentials, region and endpoint come from where all AWS tools find them (`AWS_*`, profiles,
roles); they are never part of a URL, because the URL of a root is written into logs and payloads.
"""

import math
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PART_BYTES = 16 * 2**20
"""Bytes of one part of a multipart transfer; files below two parts go in one request."""
_MOST_PARTS = 10_000
_PARTS_AT_ONCE = 4
"""64 MiB of host memory for each file in transfer, instead of 500 MB at s3fs's own settings."""

_TRIES = 6
"""Tries of one request, with random waits below 1, 2, 4, 8, 16 s: half a minute at most."""
_ROUNDS = 2
"""Rounds of those tries when the network breaks or the storage answers SlowDown."""

_WRAPPERS = frozenset(
    {"async_wrapper", "asyncwrapper", "asynclocal", "blockcache", "cached", "dask", "dir"}
    | {"filecache", "generic", "libarchive", "reference", "simplecache", "tar", "zip"}
)
_READ_ONLY = frozenset(
    {"data", "file", "gist", "git", "github", "http", "https", "jlab", "jupyter", "local"}
    | {"pyscript"}
)
_NO_STORES = _WRAPPERS | _READ_ONLY
"""Schemes of fsspec that wrap another file system, or that nothing can be written to."""
_CREDENTIALS = re.compile(r"^(\w+://)(?:[^@]*:[^@]*|[^/@]*)@")


def open_remote(url: str) -> "tuple[AbstractFileSystem, str]":
    """Return the fsspec file system of a URL, and the prefix of its names.

    Raises:
        UserError: the URL holds credentials or options, names no bucket, or nothing can open it.
    """
    _require_plain(url)
    import fsspec

    protocol = url.split("://", 1)[0].lower()
    if protocol in _NO_STORES:
        raise UserError(
            f"{protocol}:// names no storage of its own, so nothing can be kept there",
            where=url[:200],
            hint="give --root a local path or s3://bucket/folder",
        )
    options = _s3_options() if url.startswith(("s3://", "s3a://")) else {}
    try:
        # Other processes write too, so a listing must not come from a cache.
        file_system, prefix = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
    except OSError as error:
        raise SurroundingsError(
            f"the storage does not answer: {error}", where=url[:200], fault_class=FaultClass.NETWORK
        ) from error
    except Exception as error:  # of any library that fsspec finds for the scheme
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"cannot open storage {url[:200]!r}: {reason[:300]}", where="--root"
        ) from error
    if options:
        file_system.retries = _ROUNDS
    return file_system, str(prefix)


def transfer_options(protocol: str, size: int) -> dict[str, object]:
    """Return the options of one upload or download of so many bytes."""
    if protocol != "s3":
        return {}
    return {"chunksize": max(PART_BYTES, math.ceil(size / _MOST_PARTS))}


def whole_read_options(protocol: str) -> dict[str, object]:
    """Return options that read a small object in one GET; s3fs would ask for its size first."""
    return {"max_concurrency": 1} if protocol == "s3" else {}


def _s3_options() -> dict[str, object]:
    from cluster.object_store.impatient_session import SILENCE_S, ImpatientSession

    # s3fs retries SlowDown and broken connections itself, five rounds of botocore's own five tries
    # in mode "legacy", and a plain 500 only in the latter. Here botocore does the work in mode
    # "standard" (throttling, 500-504, timeouts; exponential back-off with jitter; a budget that
    # all requests share), and s3fs adds a second round. The user's own AWS settings go first.
    retries: dict[str, object] = {}
    if "AWS_RETRY_MODE" not in os.environ:
        retries["mode"] = "standard"
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        retries["total_max_attempts"] = _TRIES
    config: dict[str, object] = {
        "connect_timeout": 10,
        "read_timeout": SILENCE_S,
        "http_session_cls": ImpatientSession,
        # Writer threads and parts share one pool; at s3fs's ten they wait for each other.
        "max_pool_connections": 32,
    }
    if retries:
        config["retries"] = retries
    if is_other_store():
        # Since 1.36 botocore adds digests that many other stores do not know: they refuse each
        # write. Every body is signed with its SHA-256 without them.
        for name in ("request_checksum_calculation", "response_checksum_validation"):
            if f"AWS_{name.upper()}" not in os.environ:
                config[name] = "when_required"
    return {"config_kwargs": config, "max_concurrency": _PARTS_AT_ONCE}


def is_other_store() -> bool:
    """Tell whether requests go to a store that is none of Amazon's, by variables or a profile."""
    from botocore.session import Session

    if any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")):
        return True
    try:
        profile = Session().get_scoped_config()
    except Exception:  # a file that cannot be read is told when the store is opened
        return False
    return "endpoint_url" in profile or "services" in profile


def _require_plain(url: str) -> None:
    if _CREDENTIALS.match(url):
        raise UserError(
            "the URL of the output root holds credentials",
            where=_CREDENTIALS.sub(r"\1<credentials>@", url).split("?", 1)[0],
            hint="leave them out; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, "
            "or run where a role gives access",
        )
    parts = urlsplit(url)
    plain_url = url.split("?", 1)[0].split("#", 1)[0]
    if parts.query or parts.fragment or "::" in url:
        raise UserError(
            "the URL of the output root holds options, or one URL inside another",
            where=plain_url,
            hint="write s3://bucket/folder; options come from the environment",
        )
    if parts.scheme in ("s3", "s3a") and not parts.netloc:
        raise UserError(
            "the URL of the output root names no bucket",
            where=plain_url,
            hint="write s3://bucket/folder",
        )
