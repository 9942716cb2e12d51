"""Which names of variables, headers and settings say that their value is a secret?

A name is read word by word (`GITHUB_PAT`, `openaiApiKey`, `x-api-key`), so that TOKENIZER_PATH and
AUTH_METHOD say nothing secret.
"""

import re
from functools import lru_cache


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_ALWAYS = _words(
    "SECRET SECRETS PASSWORD PASSWORDS PASSWD PASSPHRASE PASSCODE APIKEY APITOKEN AUTHTOKEN PAT "
    "DSN CREDENTIAL CREDENTIALS CREDS WEBHOOK BEARER JWT AUTHORIZATION SAS COOKIE"
)
_RUN_TOGETHER = ("PASSWORD", "PASSWD", "APIKEY", "TOKEN", "SECRET")
"""Endings of words without a border: PGPASSWORD."""
_AS_A_RULE = _words("KEY TOKEN PASS AUTH SIGNATURE PW PWD CONNSTR")
"""Words that have other meanings; what stands beside them decides."""
_ABOUT = _words(
    "PATH PATHS FILE FILES FILENAME DIR DIRECTORY FOLDER METHOD TYPE MODE NAME NAMES VARIABLE "
    "VAR PREFIX HELPER SOCK SOCKET LIMIT LENGTH COUNT SIZE TTL TIMEOUT EXPIRY EXPIRES ALGORITHM "
    "FORMAT VERSION ENABLED DISABLED PROVIDER MANAGER RETRIES BACKEND ENDPOINT HOST PORT REGION "
    "PARALLELISM BUDGET POLICY STORE"
)
"""Last words of names that speak about a secret without holding it."""
_PUBLIC = _words("PUBLIC EOS BOS PAD SEP CLS MASK UNK NUM MAX MIN SORT PRIMARY FOREIGN")
"""Words before KEY or TOKEN that make it none."""
_NOT_SECRET = frozenset({"PWD", "OLDPWD"})
_TOGETHER = re.compile(
    r"(?i)connection[_-]?str|conn[_-]?str|api[_-]?key|access[_-]?key|private[_-]?key"
)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether a name says that what it holds is a secret."""
    if name in _NOT_SECRET:
        return False
    words = [word.upper() for word in _WORD.findall(name)]
    while words and words[-1].isdigit():  # API_KEY_2
        words.pop()
    if not words or (words[-1] in _ABOUT and "WEBHOOK" not in words):
        return False
    if _TOGETHER.search(name) or not _ALWAYS.isdisjoint(words):
        return True
    return any(
        (word in _AS_A_RULE or word.endswith(_RUN_TOGETHER))
        and (i == 0 or words[i - 1] not in _PUBLIC)
        for i, word in enumerate(words)
    )
