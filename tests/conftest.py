"""Tiny real models and tokenizers, folders of them in the hub's layout, and an object storage."""

import pytest

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

        from jobs.family import family_of

        fields = {"family": name, **tiny_sizes, **change}
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return AutoModelForCausalLM.from_config(family_of(name).hf_config(fields))

    return build


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory, tiny_model, word_tokenizer):
    """A folder with a checkpoint per family, named as the family, and `NAME-sharded` of each."""
    from jobs.family import names

    folder = tmp_path_factory.mktemp("saved")
    for name in names():
        for file_name, size in ((name, "1GB"), (f"{name}-sharded", "4KB")):
            tiny_model(name).save_pretrained(folder / file_name, max_shard_size=size)
            word_tokenizer(eos_token="<end>").save_pretrained(folder / file_name)
    return folder


@pytest.fixture(scope="session")
def object_storage():
    """The address of an S3 server on this machine: moto's, over real HTTP."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


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
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
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
