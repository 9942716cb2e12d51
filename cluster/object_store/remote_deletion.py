"""Deletes objects of S3: a thousand a request where the store can, the others one by one.

A store answers 200 although it keeps some of the objects, each with its reason, which s3fs drops;
and some stores want a digest of the list that others do not know (`MissingContentMD5`), or take no
list at all.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cluster.object_store.remote_answers import is_passing
from cluster.object_store.remote_faults import code_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_MOST = 1000
_AT_ONCE = 16
"""Objects that are deleted at one time where each has a request to itself."""


def delete_objects(file_system: "AbstractFileSystem", keys: Sequence[str]) -> None:
    """Delete objects; those that are not there count as deleted.

    Args:
        file_system: s3fs, connected.
        keys: `bucket/key` of each, all in one bucket.

    Raises:
        OSError: the store keeps one of them, or does not answer.
    """
    for start in range(0, len(keys), _MOST):
        some = keys[start : start + _MOST]
        left = some if len(some) == 1 else _left_by_list(file_system, some)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(lambda key: _delete(file_system, key), left):
                pass


def _left_by_list(file_system: "AbstractFileSystem", keys: Sequence[str]) -> Sequence[str]:
    """Delete up to a thousand objects in one request; return those that are still there by it."""
    named = {file_system.split_path(key)[1]: key for key in keys}
    bucket = file_system.split_path(keys[0])[0]
    wanted = {"Objects": [{"Key": name} for name in named], "Quiet": True}
    try:
        answer = file_system.call_s3("delete_objects", Bucket=bucket, Delete=wanted)
    except Exception as error:  # of botocore, or of s3fs in its place
        code = code_of(error)
        if code is None or code == "NoSuchBucket" or is_passing(code):
            raise
        return keys
    return [named[kept["Key"]] for kept in answer.get("Errors", ()) if kept.get("Key") in named]


def _delete(file_system: "AbstractFileSystem", key: str) -> None:
    try:
        file_system.rm_file(key)
    except FileNotFoundError as error:
        if code_of(error) == "NoSuchBucket":
            raise
