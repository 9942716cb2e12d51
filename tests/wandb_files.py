"""What a file of an offline run in W&B holds, read by W&B's own program."""

import json
import subprocess
import sys


def inspect(file, *words):
    """What `wandb leet inspect --json` prints of a file, line by line."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *words, str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    if words:
        return json.loads(said)
    return [json.loads(line) for line in said.splitlines()]


def rows(records):
    """The rows of history, without what W&B adds."""
    items = [record["history"]["item"] for record in records if record["type"] == "history"]
    return [{k: v for k, v in item.items() if not k.startswith("_")} for item in items]
