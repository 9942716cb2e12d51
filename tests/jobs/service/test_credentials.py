from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from cluster.errors import UserError
from cluster.redaction.redactor import redacted
from jobs.service.credentials import Address, VariableName, read_key
from orchestrator.study.study_file import parse_study_file

_path = Path(__file__).parents[2] / "cluster/redaction/planted.py"
_spec = spec_from_file_location("planted", _path)
planted = module_from_spec(_spec)
_spec.loader.exec_module(planted)


class Asking(BaseModel):
    api_key_variable: VariableName | None = None
    base_url: Address = "https://host/v1"


KEYS = {
    **planted.tokens(),
    "hex": "0123456789abcdef" * 2 + "01234567",
    "hex in capitals": "A1B2C3D4E5F60718",
    "capitals": "K3J9X0QWE7ZB4LT8",
    "capitals with a beginning": "LLM_K3J9X0QWE7ZB4LT8",
    "base32": "JBSWY3DPEHPK3PXPJBSW",
    "consonants": "QWRTPSDFGHKLZXCV",
    "a phrase": "correct-horse",
    "small letters": "opensesame",
    "a number": 123456789012,
    "a list": ["opensesame"],
    "nothing": "",
    "an uncommonly long name": "A" * 65,
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_in_place_of_its_variables_name_is_refused_and_not_repeated(kind):
    with pytest.raises(UserError) as fault:
        Asking(api_key_variable=KEYS[kind])
    message = str(fault.value) + str(fault.value.as_json())
    assert "never the key itself" in message
    assert str(KEYS[kind]) not in message or not KEYS[kind]


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "LLM", "KEY_2", "ANTHROPICAPIKEYPRODUCTION", "AZURE_KEY_2024", "S3_KEY"]
    + ["TOGETHER_API_KEY", "K8S_PROD_KEY", "HF_TOKEN", "KEY20260131"],
)
def test_names_of_variables_are_taken(name):
    assert Asking(api_key_variable=name).api_key_variable == name


def test_no_variable_is_needed():
    assert Asking(api_key_variable=None).api_key_variable is None


@pytest.mark.parametrize("shape", planted.tokens())
def test_a_study_that_holds_a_token_is_refused_by_its_line(shape):
    token = planted.tokens()[shape]
    with pytest.raises(UserError) as fault:
        parse_study_file(f"name: x\nparams:\n  anything: {token}\n", "study.yaml")
    assert fault.value.where == "study.yaml:3"
    assert token not in str(fault.value)


def test_a_long_line_of_a_study_costs_no_time():
    parse_study_file("name: " + "x" * 2_000_000, "study.yaml")  # hours before


@pytest.mark.parametrize("url", ["https://me:pw@host/v1", "https://host/v1?api_key=opensesame"])
def test_an_address_holds_no_key(url):
    with pytest.raises((UserError, ValidationError)) as fault:
        Asking(base_url=url)
    assert "opensesame" not in str(fault.value) and "pw@" not in str(fault.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.op\u0435nai.com/v1",
        "https://ex\tample.com/v1",
        "https://api.example.com\\@evil.org/v1",
        "https://api.example.com:443@evil.org/v1",
        "https://api.example.com/v1\n",
        "https://evil.org\\.api.example.com",
        "https://host:port/v1",
    ],
)
def test_an_address_cannot_look_like_another_one(url):
    with pytest.raises(UserError):
        Asking(base_url=url)


@pytest.mark.parametrize("url", ["http://[::1]:8000/v1", "https://a_b-c.example.com:8443/v1?v=2"])
def test_addresses_are_taken(url):
    assert Asking(base_url=url).base_url == url


def test_a_key_that_was_read_is_taken_out_of_texts(monkeypatch):
    monkeypatch.setenv("LLM", "opensesame-of-the-lab")
    assert read_key("LLM") == "opensesame-of-the-lab"
    monkeypatch.delenv("LLM")
    assert redacted("it said opensesame-of-the-lab") == "it said <LLM>"
