"""`redacted`: a text without secrets. Its time is linear in the text, whatever stands in it.

Known values go first, in every form that encodings give them; then what has the shape of a token;
then what stands where secrets stand: in URLs, headers and assignments.
"""

import re
import string
from collections.abc import Iterable, Mapping
from functools import lru_cache

from cluster.redaction.known_values import forms_of, known_secrets
from cluster.redaction.secret_names import is_secret_name
from cluster.redaction.token_shapes import without_tokens

# A scheme is looked for by its end; a search for its beginning is quadratic in a word's length.
# Scans stop at the next `://`; of what they pass, the last @ ends the credentials.
_IN_URL = re.compile(
    r"://(?:"
    # user:password@, where both may hold an @, and the password a slash; no port.
    r"(?!git@)[^/\s:\"']*+:(?!\d{1,5}(?:[/?#\s]|$))(?:[^\s\"':]|:(?!//)){1,1024}@"
    # token@; in `hf://` an @ begins a revision, and `git@` is everybody's name.
    r"|(?<!hf://)(?!git@)[^/\s:?#\"']{1,1024}@"
    r")"
)
_IN_QUERY = re.compile(
    r"([?&](?:token|(?:access|auth)[-_]?token|key|(?:api|access|secret)[-_]?key|sig|signature"
    r"|x-(?:amz|goog)-(?:signature|credential|security-token)|password|secret|client[-_]?secret"
    r"|code)=)[^&#\s\"']+",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?P<head>(?<![a-z])(?:bearer|basic) {1,4})(?P<value>[A-Za-z0-9._~+/=-]{6,})", re.IGNORECASE
)
_AUTHORIZATION = re.compile(
    r"(?P<head>authorization\\{0,3}[\"']?\s{0,3}[=:,]\s{0,3}(?:b(?=[\"'\\]))?\\{0,3}[\"']?)"
    r"(?![a-z]{3,20} {1,4}<)(?:(?P<scheme>[a-z]{3,20}) {1,4})?(?P<value>[^\s\"',\\<>]+)",
    re.IGNORECASE,
)
_ENDS = (
    *("key", "key_id", "keyid", "token", "secret", "password", "passwd", "passphrase", "passcode"),
    *("pass", "pwd", "pat", "dsn", "sas", "jwt", "credential", "credentials", "creds", "cookie"),
    *("signature", "auth", "webhook", "webhook_url", "string", "str"),
    *(f"{word}{number}" for word in ("key", "token", "secret", "password") for number in range(10)),
)
"""How names of secrets end, in lower case; `is_secret_name` then reads the whole name."""
_LAST = "".join({end[-1] + end[-1].upper() for end in _ENDS})
_LAST_BUT_ONE = "".join({end[-2] + end[-2].upper() for end in _ENDS})
_TWO = f"[{_LAST_BUT_ONE}][{_LAST}]"
# Assignments are few and words are many, so that a search begins at the sign between them; most
# signs are passed over by the two letters before them.
_SIGN = re.compile(
    rf"[=:,](?![=:])(?:(?<={_TWO}[=:])|(?<={_TWO}[\"'][=:,])|(?<={_TWO} [=:])"
    rf"|(?<={_TWO}\\[\"'][=:,])|(?<=[\\\"' ][\"' ][=:]))"
)
_LONGEST_END = max(map(len, _ENDS)) + 5
_LONGEST_NAME = 64
_NAME_LETTERS = string.ascii_letters + string.digits + "_.-"
_VALUE = re.compile(
    r">?\s{0,3}(?:b(?=[\"'\\]))?(?:\\{1,3}\"(?P<escaped>[^\"\\\n]*+)|\"(?P<double>(?:[^\"\\\n]|\\.)*+)"
    r"|'(?P<single>(?:[^'\\\n]|\\.)*+)|(?P<plain>[^\s\"',;&<>(){}\[\]|\\]{1,40}+))"
)
_REST = re.compile(r"[^\s\"',;&<>(){}\[\]|\\]*+")
_OPTION = re.compile(
    r"(--(?P<name>[A-Za-z][A-Za-z0-9_-]{2,40}) {1,3})(?P<value>[^\s\"'<>-][^\s\"'<>]*)"
)
_LOGIN = re.compile(  # curl -u me:password; a group of users is a number
    r"((?<![\w-])(?:-u|-U|--(?:proxy-)?user)(?:[ =]|[\"'],? ?)[\"']?[^\s:\"'/]{1,128}:)"
    r"(?!\d{1,5}(?!\S))[^\s\"']{3,}"
)
_NETRC = re.compile(  # a plain word is a password only behind all that a netrc writes
    r"(\b(?:machine\s{1,8}\S{1,256}|default)\s{1,8}(?:(?:login|account)\s{1,8}\S{1,256}\s{1,8}){1,2}"
    r"password\s{1,8}|\b(?:machine|login|account)\s{1,8}\S{1,256}\s{1,8}password\s{1,8}"
    r"(?![a-z]{1,15}(?:[\s.,;:!?]|$)))[^\s\"'<]+"
)
# name=value and "name":"value", in an encoded URL, once or twice
_ENCODED_SIGN = re.compile(r"%(?:25)?3[DAda]")
_ENCODED_QUOTE = re.compile(r"(?:%(?:25)?2[02]|\+)*$")
_ENCODED_VALUE = re.compile(
    r"(?:%(?:25)?2[02]|\+)*+(?P<value>(?:(?!%(?:25)?2[26])[^&#\s\"'<>]){1,40}+)"
)
_ENCODED_REST = re.compile(r"(?:(?!%(?:25)?2[26])[^&#\s\"'<>])*+")
_EMPTY = frozenset(
    ["null", "none", "true", "false", "nil", "str", "optional", "undefined", "set", "not"]
)
_SHORT = 8
"""Characters from which on a known value is taken for a secret inside a word, too."""
_ONE_WORD = re.compile(r"[A-Za-z]?[a-z]{5,15}")
_OF_CODE = re.compile(r"\.|key|token|auth|secret|pass|cred")
_DIGIT, _LETTER = re.compile("[0-9]"), re.compile("[A-Za-z]")
_CODE = re.compile(r"[a-z_][A-Za-z_]*(?:\.[A-Za-z_]+)*")


def has_credentials(text: str) -> bool:
    """Tell whether a text has a URL with a name, a password or a key in it."""
    return bool(_IN_URL.search(text) or _IN_QUERY.search(text))


class Redactor:
    """Takes given secrets out of texts, and whatever looks like one."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """Prepare for secrets, given as value -> label."""
        forms = {
            form: f"<{label}>"
            for secret, label in secrets.items()
            for form in forms_of(secret)
            if len(form) >= 6
        }
        # The longest first: one secret may hold another.
        ordered = sorted(forms, key=len, reverse=True)
        # What could be a word or a number is one only where it stands alone.
        alone = {form for form in forms if form.isdigit() or (form in secrets and _is_short(form))}
        self._labels = [(form, forms[form]) for form in ordered if form not in alone]
        self._words = [
            (_standing_alone(form), form, forms[form]) for form in ordered if form in alone
        ]
        self.longest = max(map(len, ordered), default=0)
        """Characters of the longest form."""

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for form, label in self._labels:
            text = text.replace(form, label)
        for pattern, word, label in self._words:
            if word in text:
                text = pattern.sub(label, text)
        return _without_places(without_tokens(text))


def _is_short(form: str) -> bool:
    return len(form) < _SHORT or bool(_ONE_WORD.fullmatch(form))


def _standing_alone(form: str) -> re.Pattern[str]:
    """Return a pattern for a form that no letter or digit goes on from, escapes apart."""
    inside = r"\w" if _ONE_WORD.fullmatch(form) else r"[^\W_]"
    before = rf"(?:(?<!{inside})|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{{2}}))"
    return re.compile(
        (before if form[0].isalnum() else "")
        + re.escape(form)
        + (rf"(?!{inside})" if form[-1].isalnum() else "")
    )


def redacted(text: str) -> str:
    """Remove from a text what this process knows to be secret, and whatever looks like it."""
    return redactor()(text)


def redactor() -> Redactor:
    """Return the redactor of what this process knows to be secret now."""
    return _redactor_of(tuple(known_secrets().items()))


@lru_cache(maxsize=4)
def _redactor_of(secrets: Iterable[tuple[str, str]]) -> Redactor:
    return Redactor(dict(secrets))


def _without_places(text: str) -> str:
    """Remove what stands where secrets stand: in URLs, headers, options and assignments."""
    if "://" in text and "@" in text:
        text = _IN_URL.sub("://<credentials>@", text)
    if "=" in text:
        text = _IN_QUERY.sub(r"\1<secret>", text)
    lower = text.lower()
    if "authorization" in lower:
        text = _AUTHORIZATION.sub(_redact_authorization, text)
    if "bearer " in lower or "basic " in lower:
        text = _HEADER.sub(_redact_header, text)
    if "--" in text:
        text = _OPTION.sub(_redact_option, text)
    if ":" in text and ("-u" in text or "-U" in text or "user" in text):
        text = _LOGIN.sub(r"\1<secret>", text)
    if "password" in text:
        text = _NETRC.sub(r"\1<secret>", text)
    if "%" in text:
        text = _without_encoded(text)
    return _without_named(text)


def _redact_authorization(match: re.Match[str]) -> str:
    scheme = f"{match['scheme']} " if match["scheme"] else ""
    return f"{match['head']}{scheme}<secret>"


def _redact_header(match: re.Match[str]) -> str:
    # `Basic training`, `bearer authentication`
    return match[0] if match["value"].isalpha() else f"{match['head']}<secret>"


def _redact_option(match: re.Match[str]) -> str:
    return f"{match[1]}<secret>" if is_secret_name(match["name"]) else match[0]


def _without_named(text: str) -> str:
    """Remove the values of `name=value`, `"name": "value"` and the like where the name says so."""
    pieces, at = [], 0
    for sign in _SIGN.finditer(text):
        place = sign.start()
        end = text[max(0, place - _LONGEST_END) : place].rstrip(" \"'\\")
        if place < at or not end.lower().endswith(_ENDS):
            continue
        before = text[max(0, place - _LONGEST_NAME) : place].rstrip(" \"'\\")
        name = before[len(before.rstrip(_NAME_LETTERS)) :]
        match = _VALUE.match(text, place + 1) if is_secret_name(name) else None
        if match is None:
            continue
        group = match.lastgroup or ""
        is_plain = group == "plain"
        if is_plain and text[place] == ",":
            continue
        if _is_secret(name, match[group], is_plain=is_plain):
            pieces += [text[at : match.start(group)], "<secret>"]
            at = match.end(group)
            if is_plain and (rest := _REST.match(text, at)):
                at = rest.end()
    return "".join([*pieces, text[at:]])


def _without_encoded(text: str) -> str:
    """Remove the values of `name%3Dvalue` and `%22name%22%3A%22value%22`."""
    pieces, at = [], 0
    for sign in _ENCODED_SIGN.finditer(text):
        if sign.start() < at:
            continue
        before = text[max(0, sign.start() - _LONGEST_NAME) : sign.start()]
        before = _ENCODED_QUOTE.sub("", before)
        name = before[len(before.rstrip(_NAME_LETTERS)) :]
        if before[: len(before) - len(name)].endswith("%"):
            name = name[4:] if name.startswith("25") else name[2:]
        match = _ENCODED_VALUE.match(text, sign.end()) if is_secret_name(name) else None
        if match and _is_secret(name, match["value"], is_plain=True):
            pieces += [text[at : match.start("value")], "<secret>"]
            rest = _ENCODED_REST.match(text, match.end())
            at = rest.end() if rest else match.end()
    return "".join([*pieces, text[at:]])


def _is_secret(name: str, value: str, *, is_plain: bool) -> bool:
    """Tell whether `name=value` in a text gives a secret away."""
    if len(value) < 3 or value.lower() in _EMPTY or value.startswith("<"):
        return False
    last = name.lower()
    if last == "webhook" and value.startswith(("env:", "~/")):
        return False  # where the address stands, never the address
    if last in ("key", "token", "auth", "pass", "signature"):  # words of every log
        return len(value) >= 12 and bool(_DIGIT.search(value) and _LETTER.search(value))
    if last.endswith("pwd") and value.startswith(("/", "~", ".")):  # a working directory
        return False
    # `api_key=params.api_key_variable`, in the lines of code that a traceback shows
    return not (is_plain and last == name and _CODE.fullmatch(value) and _OF_CODE.search(value))
