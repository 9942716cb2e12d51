"""Which secrets lie in the files that the libraries read: logins of hubs, clouds and mirrors?"""

import configparser
import json
import netrc
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cluster.home import home_folder
from cluster.redaction.secret_names import is_secret_name

_MOST_BYTES = 1_000_000


_VARIABLES = (
    *("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_TOKEN_PATH"),
    *("HF_STORED_TOKENS_PATH", "NETRC", "WANDB_CONFIG_DIR", "AWS_SHARED_CREDENTIALS_FILE"),
    *("AWS_CONFIG_FILE", "RAY_AUTH_TOKEN_PATH", "GOOGLE_APPLICATION_CREDENTIALS"),
    "KAGGLE_CONFIG_DIR",
)
"""Variables that say where the files are."""


def credential_files(environment: Mapping[str, str]) -> Mapping[str, Path]:
    """Return label -> file, of every place that a library would look at, present or not."""
    return _files_named_by(tuple((name, environment.get(name)) for name in _VARIABLES))


@lru_cache(maxsize=8)
def _files_named_by(variables: tuple[tuple[str, str | None], ...]) -> Mapping[str, Path]:
    environment = dict(variables)
    home = Path(environment.get("HOME") or home_folder())
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    hub = Path(environment.get("HF_HOME") or cache / "huggingface")
    wandb = Path(environment.get("WANDB_CONFIG_DIR") or config / "wandb")
    return {
        "netrc": Path(environment.get("NETRC") or home / ".netrc"),
        "_netrc": home / "_netrc",
        "hub token": Path(environment.get("HF_TOKEN_PATH") or hub / "token"),
        "hub tokens": Path(environment.get("HF_STORED_TOKENS_PATH") or hub / "stored_tokens"),
        "old hub token": home / ".huggingface" / "token",
        "AWS credentials": Path(
            environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials"
        ),
        "AWS config": Path(environment.get("AWS_CONFIG_FILE") or home / ".aws" / "config"),
        "W&B settings": wandb / "settings",
        "Ray token": Path(environment.get("RAY_AUTH_TOKEN_PATH") or home / ".ray" / "auth_token"),
        "Google credentials": Path(
            environment.get("GOOGLE_APPLICATION_CREDENTIALS")
            or config / "gcloud" / "application_default_credentials.json"
        ),
        "Kaggle key": Path(environment.get("KAGGLE_CONFIG_DIR") or home / ".kaggle")
        / "kaggle.json",
    }


def secrets_of_files(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return secret -> label, of all files that are there and can be read."""
    secrets = {}
    for label, path in credential_files(environment).items():
        with suppress(
            OSError, ValueError, RecursionError, netrc.NetrcParseError, configparser.Error
        ):
            if path.is_file() and path.stat().st_size <= _MOST_BYTES:
                for secret in _read(path):
                    secrets[secret] = label
    return secrets


def _read(path: Path) -> Iterator[str]:
    if path.name in (".netrc", "_netrc", "netrc") or "netrc" in path.name:
        for _, _, password in netrc.netrc(str(path)).hosts.values():
            yield from [password] if password else []
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.lstrip().startswith("{"):
        yield from _of_json(json.loads(text))
    elif "=" not in text.split("\n", 1)[0] and "[" not in text:
        yield text.strip()  # a token and nothing else
    else:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read_string(text)
        for section in parser.values():
            yield from (value for name, value in section.items() if is_secret_name(name))


def _of_json(content: object) -> Iterator[str]:
    if isinstance(content, dict):
        for name, value in content.items():
            if isinstance(value, str) and is_secret_name(str(name)):
                yield value
            else:
                yield from _of_json(value)
