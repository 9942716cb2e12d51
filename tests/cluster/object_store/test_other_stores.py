"""What stores that speak S3 answer otherwise than Amazon's: digests, lists to delete, codes."""

import fsspec
import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from cluster.object_store.remote_deletion import _MOST
from cluster.storage import Storage

KEPT = (
    "<DeleteResult><Error><Key>root/folder/{name}</Key><Code>AccessDenied</Code>"
    "<Message>as the test asked</Message></Error></DeleteResult>"
)


@pytest.fixture
def root(bucket, proxy):
    return Storage(f"{bucket}/root")


def has_digest(request):
    """Whether a request holds a header of botocore's that AWS alone is sure to know."""
    names = [name.lower() for name in request.headers]
    return any(name.startswith(("x-amz-checksum", "x-amz-sdk-checksum")) for name in names)


def is_list_to_delete(request):
    return request.command == "POST" and request.path.endswith("?delete")


@pytest.mark.parametrize(
    ("status", "code"),
    [(501, "NotImplemented"), (403, "SignatureDoesNotMatch"), (400, "XAmzContentSHA256Mismatch")],
)
def test_a_store_that_knows_no_digests_holds_a_root(bucket, proxy, tmp_path, status, code):
    proxy.passing(has_digest, lambda request: request.refuse(status, code))
    root, file = Storage(f"{bucket}/root"), tmp_path / "file"
    file.write_bytes(b"12345")
    root.require_writable()
    root.upload(file, "folder/a")
    root.write("folder/b", b"12")
    root.download("folder/a", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"12345" and root.read("folder/b") == b"12"
    root.remove("folder")
    assert root.list("folder") == []


def test_digests_are_sent_where_the_user_or_amazon_wants_them(bucket, proxy, monkeypatch):
    seen = []
    proxy.passing(lambda request: seen.append(has_digest(request)), lambda request: None)
    Storage(f"{bucket}/root").write("name", b"1")
    assert not any(seen)
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    Storage(f"{bucket}/root").write("name", b"1")
    assert any(seen)


def test_a_store_that_takes_no_write_is_not_told_to_lack_conditional_ones(root, proxy):
    proxy.passing(
        lambda request: request.command == "PUT",
        lambda request: request.refuse(501, "NotImplemented"),
    )
    with pytest.raises(SurroundingsError, match=r"cannot write .*NotImplemented"):
        root.require_writable()
    proxy.passing(
        lambda request: "If-None-Match" in request.headers,
        lambda request: request.refuse(501, "NotImplemented"),
    )
    with pytest.raises(UserError, match="cannot refuse to overwrite an object"):
        root.require_writable()


@pytest.mark.parametrize("code", ["MissingContentMD5", "InvalidRequest", "NotImplemented"])
def test_what_a_store_does_not_delete_as_a_list_it_deletes_one_by_one(root, proxy, code):
    names = {f"folder/{number}" for number in range(5)}
    for name in names:
        root.write(name, b"1")
    proxy.passing(is_list_to_delete, lambda request: request.refuse(400, code))
    root.remove("folder")
    assert root.sizes("folder") == {}
    assert sum(line.startswith("DELETE") for line in proxy.seen) == len(names)


def test_an_object_that_the_store_keeps_is_told(root, proxy):
    for name in ("a", "b"):
        root.write(f"folder/{name}", b"1")

    def keep(request):
        if is_list_to_delete(request):
            body = KEPT.format(name="a").encode()
            request.give((200, [("Content-Type", "application/xml")], body))
        else:
            request.refuse(403, "AccessDenied")

    proxy.passing(lambda request: is_list_to_delete(request) or request.command == "DELETE", keep)
    with pytest.raises(SurroundingsError, match="cannot delete folder: access was denied"):
        root.remove("folder")


def test_more_objects_than_one_list_holds_are_deleted(root, proxy):
    lists = []

    def count(request):
        lists.append(request.body.count(b"<Key>"))
        request.give((200, [("Content-Type", "application/xml")], b"<DeleteResult/>"))

    listed = [f"<Contents><Key>root/folder/{n}</Key><Size>1</Size></Contents>" for n in range(1500)]
    assert len(listed) > _MOST

    def listing(request):
        body = f"<ListBucketResult>{''.join(listed)}</ListBucketResult>".encode()
        request.give((200, [("Content-Type", "application/xml")], body))

    proxy.rule = lambda request: count(request) if is_list_to_delete(request) else listing(request)
    root.remove("folder")
    assert lists == [_MOST, len(listed) - _MOST]


@pytest.mark.parametrize(
    ("status", "code", "fault_class", "hint"),
    [
        (403, "RequestTimeTooSkewed", FaultClass.PERMISSION, "set the clock"),
        (400, "ExpiredToken", FaultClass.PERMISSION, "renew them"),
        (403, "InvalidAccessKeyId", FaultClass.PERMISSION, "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", FaultClass.PERMISSION, "AWS_ENDPOINT_URL"),
        (400, "AuthorizationHeaderMalformed", FaultClass.MISTAKE, "AWS_DEFAULT_REGION"),
        (507, "XMinioStorageFull", FaultClass.STORAGE_FULL, "quota"),
        (403, "QuotaExceeded", FaultClass.STORAGE_FULL, "quota"),
        (429, "TooManyRequests", FaultClass.STORAGE_AWAY, "overloaded"),
    ],
)
def test_a_refusal_says_what_to_do(root, proxy, monkeypatch, status, code, fault_class, hint):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    proxy.passing(lambda request: True, lambda request: request.refuse(status, code))
    with pytest.raises(SurroundingsError) as fault:
        Storage(root.url).write("name", b"1")
    assert fault.value.fault_class is fault_class
    assert code in fault.value.error and hint in str(fault.value.hint)


@pytest.mark.parametrize("asks", [lambda root: root.read("name"), lambda root: root.size("name")])
def test_credentials_that_were_renewed_in_their_file_are_taken(
    root, proxy, tmp_path, monkeypatch, asks
):
    file = tmp_path / "credentials"

    def write(key):
        file.write_text(
            f"[default]\naws_access_key_id = {key}\naws_secret_access_key = notToBeWritten\n"
        )

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    write("AKIAOFTHISHOUR000000")
    root = Storage(root.url)
    root.write("name", b"123")
    proxy.passing(
        lambda request: "AKIAOFTHISHOUR000000" in request.headers["Authorization"],
        lambda request: request.refuse(400, "ExpiredToken"),
    )
    write("AKIAOFTHENEXTHOUR000")
    with pytest.raises(SurroundingsError):
        asks(root)
    assert asks(root) in (b"123", 3)
