"""What tests on pretended GPUs share with those of jobs."""

import random

import pytest

from tests.jobs.conftest import _no_mirror, moved, root  # noqa: F401


@pytest.fixture(autouse=True)
def _one_thread_loads(monkeypatch):
    """Weights are read by this thread: others would not see the pretended GPUs."""
    monkeypatch.setenv("HF_DEACTIVATE_ASYNC_LOAD", "1")


@pytest.fixture(scope="session")
def few_prompts():
    """Twelve prompts with responses, of many lengths, in two groups."""
    draw = random.Random(5)

    def text(count):
        return "".join(f" word{draw.randrange(20)}" for _ in range(count))

    return [
        {
            "prompt": number,
            "group": number % 2,
            "segments": [
                {"role": "prompt", "text": text(draw.randint(2, 9))},
                {"role": "response", "text": text(draw.randint(1, 6))},
            ],
        }
        for number in range(12)
    ]
