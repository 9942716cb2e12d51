import base64
import json
import re
import string
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.redaction.known_values import remember_secret
from cluster.redaction.redactor import Redactor, has_credentials, redacted

_spec = spec_from_file_location("planted", Path(__file__).parent / "planted.py")
planted = module_from_spec(_spec)
_spec.loader.exec_module(planted)

VALUE = 'n0t/a+real "secret"\\of mine'


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    for name in ("NETRC", "HF_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["KAGGLE_KEY", "OPENAI_KEY", "LLM_KEY", "GITHUB_PAT", "AZURE_STORAGE_KEY", "SLACK_WEBHOOK_URL"],
)
@pytest.mark.parametrize("value", ["correct-horse", "https://chat.example/T0/B0/x1y2z3", VALUE])
def test_the_value_of_a_secret_variable_is_replaced_by_its_name(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    assert redacted(f"it said {value} twice: {value}.") == f"it said <{name}> twice: <{name}>."


@pytest.mark.parametrize(
    "write",
    [
        str,
        lambda value: quote(value, safe=""),
        quote,
        quote_plus,
        lambda value: json.dumps({"a": value}),
        lambda value: json.dumps(json.dumps([value])),
        repr,
        lambda value: base64.b64encode(value.encode()).decode(),
        lambda value: base64.b64encode(f"a:{value}".encode()).decode(),
        lambda value: base64.b64encode(f"ab:{value}:c".encode()).decode(),
        lambda value: base64.urlsafe_b64encode(f"abc:{value}".encode()).decode(),
        lambda value: value.encode().hex(),
        lambda value: value.encode().hex().upper(),
        lambda value: quote(quote(value)),
        lambda value: re.sub("%..", lambda code: code[0].lower(), quote(value, safe="")),
        lambda value: repr(value.encode()),
        lambda value: json.dumps(value).replace("/", "\\/"),
        lambda value: json.dumps(value).replace(">", "\\u003e"),
    ],
)
def test_a_known_value_is_found_in_every_form(write):
    secret = "Zq9?" + VALUE + "é~>?ÿ"
    text = Redactor({secret: "KEY"})(f"before {write(secret)} after")
    assert "<KEY>" in text
    assert text.startswith("before ") and text.endswith(" after")
    assert not any(write(secret)[i : i + 12] in text for i in range(len(write(secret)) - 12))


@given(
    st.text(string.ascii_letters + string.digits + "/+ =\\\"'%é", min_size=8).filter(
        lambda value: len(value.strip()) >= 8
    ),
    st.binary(max_size=5),
    st.binary(max_size=5),
)
def test_a_value_in_base64_is_found_wherever_it_stands(value, before, after):
    value = f"Z{value}7"
    encoded = base64.b64encode(before + value.encode() + after).decode()
    redact = Redactor({value: "KEY"})
    assert "<KEY>" in redact(encoded)
    assert value not in redact(f"x{value}y")


def test_a_value_of_several_lines_is_found_line_by_line(monkeypatch):
    frame = "-----BEGIN OPENSSH " + "PRIVATE KEY-----"
    lines = [frame, planted.letters(64), planted.letters(40), frame.replace("BEGIN", "END")]
    monkeypatch.setenv("DEPLOY_KEY", "\n".join(lines))
    for line in lines[1:3]:
        assert redacted(f"got {line}") == "got <DEPLOY_KEY>"
    assert not any(line in redacted("\n".join(lines)) for line in lines[1:3])


def test_what_a_study_names_is_remembered_whatever_its_variable_is_called():
    remember_secret("swordfish-of-the-lab", "LLM")
    assert redacted("key swordfish-of-the-lab") == "key <LLM>"


@pytest.mark.parametrize("shape", planted.tokens())
def test_the_shape_of_a_token_is_enough(shape):
    token = planted.tokens()[shape]
    assert redacted(f"sent {token}, refused") == "sent <token>, refused"


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer {}",
        "authorization: Basic {}",
        "{{'Authorization': 'Bearer {}'}}",
        '{{"authorization": "{}"}}',
        "('x-api-key', '{}')",
        "x-api-key: {}",
        "X-Goog-Api-Key: {}",
        '{{"password": "{}"}}',
        '"{{\\"password\\": \\"{}\\"}}"',
        "password={} user=me",
        "Password = {}",
        "client_secret: '{}'",
        "export OPENAI_KEY={}",
        "KAGGLE_KEY: {}",
        "api_key='{}',",
        "AccountName=me;AccountKey={};EndpointSuffix=core",
        "Server=db;Pwd={};",
        "tool --api-key {} --verbose",
        "curl -H 'Authorization: token {}'",
        "bearer {} was refused",
        "postgres://me:{}@db/runs",
        "https://host/a?b=1&access_token={}&c=2",
        "https://hooks.slack.com/services/{}",
        "https://example.com/api/webhooks/12/{}",
        "Set-Cookie: {}; path=/",
        "curl -u me:{} https://host",
        "curl --user 'me:{}' https://host",
        "['curl', '-u', 'me:{}']",
        "machine h login me password {}",
        "machine h\n  login me\n  password {}\n",
        "login me password {}",
        "next=%2Fa%3Fclient_secret%3D{}%26b%3Dc",
    ],
)
def test_what_stands_where_secrets_stand_is_taken_out(line):
    secret = "swordfish-77/Zq9x"
    text = redacted(line.format(secret))
    assert secret not in text and "Zq9x" not in text, text


PLAIN = [
    "AUTH_METHOD=password TOKENIZER_PATH=/data/models",
    "loaded /data/models with method password and tokenizer basic",
    "eos_token: '</s>', pad_token='[PAD]', bos_token=<s>",
    "tokens_per_second=1234.5 num_tokens: 8192, max_tokens=20",
    'token: the, "token": "hello", key: value, "key": "3f2a9c"',
    "PASS: 12 tests; author: Jane; pattern = ab*c; strategy: auto",
    "Basic training of the tokenizer; bearer authentication is off",
    "api_key_variable: OPENAI_API_KEY",
    "raise KeyError(key) from None; api_key=params.api_key_variable, token=token",
    "hf://org/name@main https://host:8080/path/me@there ssh://git@host/repository",
    "sk-learn, hf_hub and eyJ are words; sketch of a desk-top-publishing-programme-for-all",
    "Authorization: Bearer <HF_TOKEN> and basic <secret>, key=<secret>",
    '{"password": null, "secret": "<HF_TOKEN>", "token": true}',
    "pwd: /data/me, PWD=/data/me OLDPWD=/x/y pass=3 fail=2 auth: basic",
    "docker run -u 1000:1000 image; python -u train.py; sort -u a:b",
    "login with password authentication; the default password is none",
    "step 12: loss 0.123, lr=1e-06, grad_norm: 1.5",
]


def test_a_value_of_small_letters_is_one_too():
    for line in ("api_key: {}", "OPENAI_API_KEY={}", "secret_key={}", "export DB_PASS={}"):
        assert "abcdefgh" not in redacted(line.format("abcdefgh"))


@pytest.mark.parametrize("line", PLAIN)
def test_words_stay(line, monkeypatch):
    monkeypatch.setenv("AUTH_METHOD", "password")
    monkeypatch.setenv("TOKENIZER_PATH", "/data/models")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    assert redacted(line) == line


def test_values_from_the_files_that_libraries_read(own_home, monkeypatch):
    secrets = {name: planted.letters(40) for name in ("netrc", "hub", "stored", "aws", "kaggle")}
    monkeypatch.delenv("HF_TOKEN_PATH", raising=False)
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE", raising=False)
    for name, text in {
        ".netrc": f"machine api.wandb.ai login user password {secrets['netrc']}\n",
        ".cache/huggingface/token": secrets["hub"] + "\n",
        ".cache/huggingface/stored_tokens": f"[mine]\nhf_token = {secrets['stored']}\n",
        ".aws/credentials": f"[default]\naws_secret_access_key = {secrets['aws']}\n",
        ".kaggle/kaggle.json": json.dumps({"username": "me", "key": secrets["kaggle"]}),
    }.items():
        path = own_home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    for label, secret in secrets.items():
        assert secret not in redacted(f"it said {secret} here"), label
    changed = planted.letters(41)
    (own_home / ".cache/huggingface/token").write_text(changed)
    assert changed not in redacted(f"a new login: {changed}")


def test_a_damaged_file_of_credentials_is_passed_over(own_home):
    (own_home / ".netrc").write_text("machine\x00 ???")
    (own_home / ".aws").mkdir()
    (own_home / ".aws/credentials").write_bytes(b"\xff[[[")
    assert redacted("a plain line") == "a plain line"


def test_the_password_of_a_proxy_is_known_alone(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:swordfish-7@proxy:3128")
    assert redacted("407 for swordfish-7") == "407 for <HTTPS_PROXY>"


@given(st.text())
def test_nothing_that_is_redacted_is_redacted_again(text):
    once = redacted(text)
    assert redacted(once) == once or len(redacted(once)) <= len(once) + 20


@pytest.mark.parametrize(
    "unit",
    [
        "x",
        "://",
        "://a:b@",
        "password%3D",
        "%3D",
        "machine h ",
        "-u a:",
        "key=",
        'key="',
        "eyJ",
        "a:b@",
        "-----BEGIN",
        "=",
        " ",
        "?key=",
        "--key ",
        "\\",
    ],
)
def test_time_is_bounded_by_a_count_of_steps_whatever_stands_in_a_line(unit):
    # Quadratic patterns would need minutes here; nothing is measured.
    assert len(redacted(unit * (200_000 // len(unit)))) > 0


def test_all_letters_of_a_value_are_taken_out():
    assert redacted("password=bcdefg7 secret: b'cdefg'") == "password=<secret> secret: b'<secret>'"


def test_a_value_that_is_no_text_hinders_nothing(monkeypatch):
    monkeypatch.setenv("A_TOKEN", b"caf\xe9-\xff77".decode(errors="surrogateescape"))
    assert redacted("a line") == "a line"
    assert redacted("a caf\udce9-\udcff77") == "a <A_TOKEN>"


def test_the_end_of_a_webhook_is_known_alone(monkeypatch):
    part = planted.letters(24)
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"https://chat.example/T0/B0/{part}")
    assert redacted(f"posting to {part}") == "posting to <SLACK_WEBHOOK_URL>"


def test_a_password_that_is_a_word_is_taken_out_where_it_stands_alone(monkeypatch):
    monkeypatch.setenv("DB_PASS", "trainer")
    assert redacted("trainer, trainers") == "<DB_PASS>, trainers"


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("123456", "step 1234567 of 9123456: 123456.", "step 1234567 of 9123456: <X_KEY>."),
        ("123456", r"a\n123456 k_123456 %20123456", r"a\n<X_KEY> k_<X_KEY> %20<X_KEY>"),
        ("1" * 20, "1" * 21 + " " + "1" * 20, "1" * 21 + " <X_KEY>"),
        ("a1b2c3", "sha a1b2c3d4 a1b2c3", "sha a1b2c3d4 <X_KEY>"),
        ("=a1b2=", "x=a1b2=y", "x<X_KEY>y"),
        ("a1b2c3d4", "xa1b2c3d4y", "x<X_KEY>y"),
    ],
)
def test_a_short_value_or_a_number_is_taken_out_where_it_stands_alone(value, text, expected):
    assert Redactor({value: "X_KEY"})(text) == expected


def test_has_credentials():
    assert has_credentials("s3://me:pw@host/x") and not has_credentials("s3://host/x@y")


def test_where_the_address_of_a_webhook_stands_is_no_secret_and_the_address_is():
    for place in ("webhook:env:SLACK_URL", "webhook:~/.config/deltascale/slack"):
        assert (
            redacted(f"try --notify {place}, then write it")
            == f"try --notify {place}, then write it"
        )
    assert "T0/B0" not in redacted("webhook: https://chat.example/T0/B0/abcdefghijkl")
