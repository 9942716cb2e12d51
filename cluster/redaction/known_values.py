"""Which secrets does this process know, and in which forms may they stand in a text?"""

import base64
import html
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import quote, quote_plus, urlsplit

from cluster.redaction.credential_files import credential_files, secrets_of_files
from cluster.redaction.secret_names import is_secret_name

_SHORTEST = 6
_SHORTEST_LINE = 8
_NO_SECRETS = frozenset(
    ["password", "disabled", "enabled", "default", "required", "optional", "unknown", "static"]
)
"""Values of settings that only are called as secrets are."""
_ONE_WORD = re.compile(r"[a-z_.]+")
_MAYBE = re.compile(r"(?i)(?:^|[_-])(?:key|auth|signature|token)$")
"""Ends of names whose value may as well be a plain word."""
_PART = re.compile(r"(?i)(?:key|password|pwd|secret|token|signature|sig)\s*=\s*([^;&\s]{6,})")
"""Parts of a connection string that are secret."""

LISTENERS: list[Callable[[str, str], None]] = []
"""Called with value and label of what is remembered."""
_PERCENT = re.compile("%[0-9A-F]{2}")
_remembered: dict[str, str] = {}
_lock = threading.Lock()


def remember_secret(value: str, label: str) -> None:
    """Take a value out of every text from here on, as `<label>`."""
    with _lock:
        _remembered[value] = label
    for listener in LISTENERS:
        listener(value, label)


def known_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return secret -> label: of the environment, of the libraries' files, and what was remembered.

    Whatever stands here is longer than five characters, and no common word of a setting.
    """
    secrets = dict(_file_secrets(environment))
    for name, value in environment.items():
        for secret in _secrets_of(name, value):
            secrets[secret] = name
    with _lock:
        secrets.update(_remembered)
    return {secret: label for secret, label in secrets.items() if len(secret) >= _SHORTEST}


def _secrets_of(name: str, value: str) -> Iterator[str]:
    """Yield what is secret in a variable: all of it, or the password in it."""
    value = value.strip()
    if "://" in value and "@" in value:
        with suppress(ValueError):
            yield from filter(None, [urlsplit(value).password])
    if not is_secret_name(name) or value.lower() in _NO_SECRETS:
        return
    is_word = _MAYBE.search(name) and (_ONE_WORD.fullmatch(value) or os.path.isabs(value))
    if is_word and (os.path.exists(value) or not os.path.isabs(value)):
        return
    yield value
    if "://" in value:  # a webhook: its path alone, too
        with suppress(ValueError):
            yield from (part for part in urlsplit(value).path.split("/") if len(part) >= 16)
    if "=" in value:
        yield from _PART.findall(value)


_files: tuple[object, dict[str, str]] = (None, {})


def _file_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets of files, read again when one of them changed."""
    global _files
    state = tuple(_stamp(path) for path in credential_files(environment).values())
    if _files[0] != state:
        _files = (state, secrets_of_files(environment))
    return _files[1]


def _stamp(path: os.PathLike[str]) -> object:
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        return str(path)
    return (str(path), stat.st_mtime_ns, stat.st_size)


def forms_of(secret: str) -> Iterator[str]:
    """Yield a secret as it is and as encodings write it, wherever it stands in what they encode."""
    yield secret
    if "\n" in secret or "\r" in secret:
        # Logs come line by line. Frames of keys are no secrets, and are the same in all.
        lines = (line.strip() for line in secret.splitlines())
        yield from (
            line for line in lines if len(line) >= _SHORTEST_LINE and not line.startswith("-----")
        )
    for written in {secret, secret.strip()}:
        yield from _escaped(written)
        yield from _in_url(written)
    data = secret.encode(errors="surrogateescape")
    yield from _in_base64(data)
    yield from (data.hex(), data.hex().upper())


def _escaped(secret: str) -> Iterator[str]:
    """Yield a secret as JSON, Python, JavaScript, Go and HTML write it inside quotes."""
    escaped = json.dumps(secret)[1:-1]
    in_go = escaped.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    yield from (
        escaped,
        in_go,
        escaped.replace("/", "\\/"),
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(escaped)[1:-1],
        repr(secret)[1:-1],
        repr(secret.encode(errors="surrogateescape"))[2:-1],
        html.escape(secret),
    )


def _in_url(secret: str) -> Iterator[str]:
    """Yield a secret as URLs and forms write it, once or twice encoded."""
    for safe in ("", "/"):
        written = quote(secret, safe=safe, errors="surrogateescape")
        yield from (written, quote(written), _PERCENT.sub(lambda code: code[0].lower(), written))
    yield quote_plus(secret, errors="surrogateescape")


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield what base64 writes for a secret at any place of what is encoded (`user:password`).

    Three bytes become four letters, so that there are three ways; letters that neighbours decide
    are left out.
    """
    for before in range(3):
        end = (before + len(secret)) % 3
        written = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        inner = written[(0, 2, 3)[before] : len(written) - (1 if end else 0)]
        if len(inner) >= _SHORTEST:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
