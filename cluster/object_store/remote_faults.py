"""Faults of a remote root, each turned into one sentence without secrets.

Faults are told apart by error code and by the library that defines an exception class: botocore is
only imported by s3fs.
"""

import contextlib
import errno
from collections.abc import Iterator

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.object_store.remote_answers import ANSWERS
from cluster.redaction.redactor import redacted

_STORAGE_LIBRARIES = frozenset({"aiobotocore", "aiohttp", "botocore", "fsspec", "s3fs", "urllib3"})
_DENIED = "the credentials need to list the bucket, and to get, put and delete objects below there"
_NETWORK = (
    "check the network and AWS_ENDPOINT_URL, then run the same command again: finished work is kept"
)
_NO_CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or run where a role gives access"
)
_CREDENTIAL_ERRORS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}
)


@contextlib.contextmanager
def remote_faults(url: str, doing: str) -> Iterator[None]:
    """Turn what the storage's libraries raise into one SurroundingsError.

    `FileNotFoundError` of a name and `FileExistsError` pass, because they answer a question; that
    a bucket is missing is a fault.
    """
    try:
        yield
    except FileExistsError:
        raise
    except FileNotFoundError as error:
        if code_of(error) != "NoSuchBucket":
            raise
        raise _surroundings_error(error, url, doing) from error
    except Exception as error:
        if not _is_of_storage(error):
            raise
        raise _surroundings_error(error, url, doing) from error


def code_of(error: BaseException) -> str | None:
    """Return the storage's own code for an error (`SlowDown`, `NoSuchBucket`); None without one."""
    for fault in _chain(error):
        response = getattr(fault, "response", None)
        if isinstance(response, dict) and "Error" in response:
            return str(response["Error"].get("Code"))
    return None


def _surroundings_error(error: Exception, url: str, doing: str) -> SurroundingsError:
    cause, hint = _cause_and_hint(error)
    cause = redacted(" ".join(cause.split()))
    return SurroundingsError(
        f"cannot {doing}: {cause}", where=url, hint=hint, fault_class=_fault_class(error)
    )


def _fault_class(error: Exception) -> FaultClass:
    """Return whose fault it is: as its code says, refused access, else a storage that is away."""
    if answer := ANSWERS.get(code_of(error) or ""):
        return answer.fault_class
    names = {base.__name__ for fault in _chain(error) for base in type(fault).__mro__}
    if isinstance(error, PermissionError) or names & _CREDENTIAL_ERRORS:
        return FaultClass.PERMISSION
    if code_of(error) == "NoSuchBucket":
        return FaultClass.MISTAKE
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FaultClass.STORAGE_FULL
    return FaultClass.STORAGE_AWAY


def _cause_and_hint(error: Exception) -> tuple[str, str | None]:
    code = code_of(error)
    names = {base.__name__ for fault in _chain(error) for base in type(fault).__mro__}
    if code == "NoSuchBucket":
        return "there is no such bucket", "create it, or choose another with --root"
    if names & _CREDENTIAL_ERRORS:
        return "no credentials for the storage were found", _NO_CREDENTIALS
    if answer := ANSWERS.get(code or ""):
        return answer.cause.format(code=code), answer.hint
    if isinstance(error, PermissionError):
        return f"access was denied ({code or error})", _DENIED
    if code is not None:
        return f"the storage refused ({code}): {error}", None
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return (
            f"this machine's disk: {error.strerror}",
            "free space, or set TMPDIR to a folder on another disk",
        )
    if names & {"ConnectionError", "HTTPClientError", "ClientError", "TimeoutError"}:
        return f"the storage does not answer ({type(error).__name__}: {error})", _NETWORK
    return f"{type(error).__name__}: {error}", None


def _is_of_storage(error: Exception) -> bool:
    libraries = {base.__module__.split(".", 1)[0] for base in type(error).__mro__}
    return isinstance(error, OSError) or not _STORAGE_LIBRARIES.isdisjoint(libraries)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
