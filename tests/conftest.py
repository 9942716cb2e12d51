"""Tiny real models and tokenizers, folders of them in the hub's layout; an object storage, and a
proxy before it that misbehaves as a test asks."""

import contextlib
import gc
import http.client
import http.server
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from urllib.parse import urlsplit

import hypothesis
import pytest

from tests.real_ray import shared_ray
from tests.serving import LocalServer

# A machine that does something else beside is slow, not wrong.
hypothesis.settings.register_profile("without a deadline", deadline=None)
hypothesis.settings.load_profile("without a deadline")


@pytest.fixture(scope="module", autouse=True)
def _earlier_objects_set_apart():
    """Keep collections of garbage from looking at what was there before the tests of a file.

    Libraries and collected tests are millions of objects; trainers collect at both ends of a run.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _stays_apart():
    """Keep apart what was, when a launch in this process ends: it gives back its own and all else.

    The next collection would look at all of it, once for each such launch.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "unfreeze", lambda: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def waits_for_the_disk():
    """Wait for no disk, which only a loss of power could tell: a third of a launch's time.

    Commands that are not forked and workers of Ray do wait, and so do the tests of disks.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which refuses what is no descriptor, too
        yield


WORDS = ["<unk>", "<end>", *(f"word{number}" for number in range(20))]


@pytest.fixture(scope="session")
def tiny_sizes():
    """Our config fields of a tiny model, but for its family."""
    return {"num_layers": 2, "d_model": 16, "num_heads": 2, "vocab_size": len(WORDS)}


@pytest.fixture(scope="session")
def word_tokenizer():
    """A function: special tokens -> a tokenizer of 22 words between blanks."""

    def build(**special):
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        numbered = {word: number for number, word in enumerate(WORDS)}
        inner = Tokenizer(models.WordLevel(numbered, unk_token="<unk>"))
        inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return PreTrainedTokenizerFast(tokenizer_object=inner, **special)

    return build


@pytest.fixture(scope="session")
def tiny_model(tiny_sizes):
    """A function: family and changed fields -> the same random model every time."""

    def build(name, **change):
        import torch
        from transformers import AutoModelForCausalLM

        from jobs.models.family import family_of

        fields = {"family": name, **tiny_sizes, **change}
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return AutoModelForCausalLM.from_config(family_of(name).hf_config(fields))

    return build


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory, tiny_model, word_tokenizer):
    """A folder with a checkpoint per family, named as the family, and `NAME-sharded` of each."""
    from jobs.models.family import names

    folder = tmp_path_factory.mktemp("saved")
    for name in names():
        for file_name, size in ((name, "1GB"), (f"{name}-sharded", "4KB")):
            tiny_model(name).save_pretrained(folder / file_name, max_shard_size=size)
            word_tokenizer(eos_token="<end>").save_pretrained(folder / file_name)
    return folder


@pytest.fixture(scope="session")
def object_storage():
    """The address of an S3 server on this machine: moto's, over real HTTP, in its own process."""
    words = [sys.executable, "-m", "moto.server", "--port", "0"]
    server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    address = next(word for line in server.stderr for word in line.split() if "http://" in word)
    # It logs every request, and would wait for ever for somebody to read that.
    threading.Thread(target=deque, args=(server.stderr, 0), daemon=True).start()
    yield address
    server.kill()
    server.wait()


@pytest.fixture
def s3(object_storage, monkeypatch):
    """A function: address of a server -> what this process and its children see of S3 is there."""
    import fsspec

    def point_at(address):
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOTTOBEWRITTEN00")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secretNotToBeWritten/+0123456789")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        # A process keeps its clients, and they keep the address they were made with.
        fsspec.get_filesystem_class("s3").clear_instance_cache()

    point_at(object_storage)
    yield point_at
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.fixture
def bucket(s3, object_storage):
    """The URL of a new bucket."""
    import urllib.request
    import uuid

    name = f"bucket-{uuid.uuid4().hex[:12]}"
    urllib.request.urlopen(urllib.request.Request(f"{object_storage}/{name}", method="PUT"))
    return f"s3://{name}"


@pytest.fixture
def proxy(object_storage, bucket, s3, monkeypatch):
    """A proxy that this process's S3 goes through; its client tries again twenty times as soon."""
    from botocore.retries.standard import ExponentialBackoff

    delay_s = ExponentialBackoff.delay_amount
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *given: delay_s(*given) / SOONER)
    between = Proxy(object_storage)
    s3(between.address)
    yield between
    between.server.close()


@pytest.fixture(scope="module")
def ray():
    """An executor on a Ray of two CPUs that the tests of a file share."""
    with shared_ray(num_cpus=2) as executor:
        yield executor


SOONER = 20
ERROR = "<Error><Code>{code}</Code><Message>as the test asked</Message></Error>"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_request(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.proxy.seen.append(f"{self.command} {self.path}")
        with contextlib.suppress(OSError):
            self.proxy.rule(self)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_request  # noqa: N815

    def log_message(self, *words):
        pass

    def passed_on(self):
        """Let the server do it; returns its answer without giving it to the client."""
        connection = http.client.HTTPConnection(self.proxy.host, self.proxy.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name != "Expect"}
        connection.request(self.command, self.path, self.body, headers)
        response = connection.getresponse()
        answer = response.status, response.getheaders(), response.read()
        connection.close()
        return answer

    def give(self, answer):
        """Hand an answer to the client."""
        status, headers, body = answer
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = dict((name.lower(), value) for name, value in headers).get("content-length", "0")
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        """Answer with an error of S3's."""
        self.give((status, [("Content-Type", "application/xml")], ERROR.format(code=code).encode()))

    def hang_up(self):
        """Close the connection without a word."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def cut_upload(self):
        """Let the server see half of the body, then break both connections."""
        with socket.create_connection((self.proxy.host, self.proxy.port)) as connection:
            lines = [f"{self.command} {self.path} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            head = "\r\n".join(line for line in lines if not line.startswith("Expect"))
            connection.sendall(head.encode() + b"\r\n\r\n" + self.body[: len(self.body) // 2])
        self.hang_up()


class Proxy:
    """Passes requests on, unless its `rule` does something else with them."""

    def __init__(self, target):
        self.host, self.port = urlsplit(target).hostname, urlsplit(target).port
        self.seen = []
        self.rule = lambda request: request.give(request.passed_on())
        handler = type("Bound", (Handler,), {"proxy": self})
        self.server = LocalServer(handler)
        self.address = self.server.address

    def passing(self, condition, instead, times=None):
        """Do `instead` with the first `times` requests that fit (all when None)."""
        counted = threading.Semaphore(times if times is not None else 1_000_000)

        def rule(request):
            if condition(request) and counted.acquire(blocking=False):
                instead(request)
            else:
                request.give(request.passed_on())

        self.rule = rule
