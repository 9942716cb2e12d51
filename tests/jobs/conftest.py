"""A root on which kinds run; a service over real HTTP that answers, or misbehaves, as a test
asks; models that speak up."""

import contextlib
import http.server
import json
import random
import socket
import threading

import pytest

from tests.jobs.root import Root
from tests.serving import LocalServer


class Request(http.server.BaseHTTPRequestHandler):
    """One request: `content` is its JSON; the service's rule answers with one of these methods."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):  # noqa: N802
        self.content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.service.lock:
            self.service.seen.append((self.content, self.headers))
            number = len(self.service.seen)
        with contextlib.suppress(OSError):
            self.service.rule(self, number)

    def log_message(self, *words):
        pass

    def give(self, content, status=200, **headers):
        body = json.dumps(content).encode()
        self.begin(len(body), status, **headers)
        self.wfile.write(body)

    def begin(self, length, status=200, **headers):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def say(self, text):
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        self.give({"id": "1", "model": "tiny-2026", "choices": [choice]})

    def refuse(self, status, **headers):
        """With the key and the prompt in the message, as some services do."""
        said = f"{self.headers['Authorization']} {self.content}"
        self.give({"error": {"message": said, "code": said}}, status, **headers)

    def talk_nonsense(self):
        self.begin(9)
        self.wfile.write(b"{nonsense")

    def cut_off(self):
        self.begin(1000)
        self.wfile.write(b'{"choices": [{"message": {"content": "wo')
        self.hang_up()

    def hang_up(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def drip(self):
        """A blank now and then, for ever: no single wait is long."""
        self.begin(1_000_000)
        while not self.service.closed.wait(0.05):
            self.wfile.write(b" ")
            self.wfile.flush()


class Service:
    """Counts and answers requests."""

    def __init__(self):
        self.lock = threading.Lock()
        self.closed = threading.Event()
        self.seen = []
        self.rule = lambda request, number: request.say("")
        handler = type("Bound", (Request,), {"service": self})
        self.server = LocalServer(handler)
        self.address = self.server.address


@pytest.fixture
def service():
    """A service that says nothing until a test gives it a rule."""
    served = Service()
    yield served
    served.closed.set()
    served.server.close()


@pytest.fixture(scope="session")
def decided_model(tiny_model):
    """A function: family -> a model whose likeliest token is clear, changes, and never ends."""

    def build(family):
        import torch

        model = tiny_model(family).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(5)
        model.config.eos_token_id = model.generation_config.eos_token_id = None
        return model

    return build


@pytest.fixture(scope="session")
def nursery_model():
    """A function: number of layers -> a random GPT-2 over the nursery's vocabulary, or a size."""

    def build(num_layers, vocab_size=None):
        import torch
        from transformers import AutoModelForCausalLM

        from jobs.models.family import family_of
        from jobs.text.nursery.vocabulary import train_tokenizer

        fields = {"num_layers": num_layers, "d_model": 16, "num_heads": 2, "max_positions": 64}
        fields |= {"family": "gpt2", "vocab_size": vocab_size or len(train_tokenizer())}
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(family_of("gpt2").hf_config(fields)).eval()
        with torch.no_grad():
            model.transformer.wte.weight.mul_(20)  # so that probabilities are far from uniform
        return model

    return build


@pytest.fixture(scope="session")
def said_alone():
    """A function: model, prompts, count -> likeliest tokens, one whole forward pass for each."""

    def speak(model, prompts, count):
        import torch

        said = []
        for prompt in prompts:
            token_ids = list(prompt)
            for _ in range(count):
                with torch.no_grad():
                    logits = model(torch.tensor([token_ids])).logits
                token_ids.append(int(logits[0, -1].argmax()))
            said.append(token_ids[len(prompt) :])
        return said

    return speak


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")


@pytest.fixture(scope="session")
def plain_prompts():
    """48 prompts with responses, of many lengths, in 20 groups."""
    draw = random.Random(5)

    def text(count):
        return "".join(f" word{draw.randrange(20)}" for _ in range(count))

    return [
        {
            "prompt": number,
            "group": number % 20,
            "segments": [
                {"role": "prompt", "text": text(draw.randint(2, 9))},
                {"role": "response", "text": text(draw.randint(1, 6))},
            ],
        }
        for number in range(48)
    ]


@pytest.fixture
def moved():
    """A function: model, scale -> a copy whose every weight has moved a little."""

    def move(model, scale=0.02):
        import copy

        import torch

        other = copy.deepcopy(model)
        generator = torch.Generator().manual_seed(11)
        with torch.no_grad():
            for weight in other.parameters():
                weight.add_(scale * torch.randn(weight.shape, generator=generator))
        return other

    return move


@pytest.fixture
def pair(root, tiny_model, word_tokenizer, moved, plain_prompts):
    """The three inputs of an extraction of a tiny GPT-2, and the two models."""
    base = tiny_model("gpt2", num_layers=3, max_positions=32)
    aligned = moved(base)
    inputs = {
        "base": root.model("base", base, word_tokenizer(eos_token="<end>")),
        "aligned": root.model("aligned", aligned, word_tokenizer(eos_token="<end>"), "align"),
        "prompts": root.prompts("plain", plain_prompts),
    }
    return inputs, base, aligned
