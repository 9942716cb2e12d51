import pytest

from cluster.redaction.redactor import redacted


@pytest.mark.parametrize(
    "text",
    [
        "https://me:hunter2@host/data",
        "https://hunter2@host/data",
        "s3://me:hunter2/with/slashes@host/data",
        "postgresql://user:pa/ss@hunter2@host",
        "https://me:p@ss:hunter2@h",
        "https://me@lab.example:hunter2@h:8080/x",
        "https://to@hunter2@h/x",
        "https://login.example/?next=%2Fcb%3Fclient_secret%3Dhunter2%26a%3Db",
        "https://login.example/?next=%252Fcb%253Fclient_secret%253Dhunter2",
        "https://login.example/?body=%7B%22password%22%3A%22hunter2%22%7D",
        "https://host/data?a=1&token=hunter2",
        "https://host/data?X-Amz-Signature=hunter2&b=1",
        "https://host/data?Access-Token=hunter2",
        "https://host/data?api_key=hunter2",
        "https://host/data?apikey=hunter2",
        "https://host/data?sig=hunter2",
        "https://host/data?key=hunter2",
        "https://host/data?PASSWORD=hunter2",
    ],
)
def test_credentials_in_a_url_are_taken_out(text):
    assert "hunter2" not in redacted(f"cannot open {text} now")
    assert redacted(f"cannot open {text} now").endswith(" now")


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8080/path/me@there",
        "hf://org/name@main",
        "hf://name@main",
        "ssh://git@host/repository",
        "https://host/?next=https%3A%2F%2Fhost%2Fa%3Fmax_tokens%3D5000%26page%3D2",
        "https://host/data?page=2&monkey=1",
        "memory://folder and me@there",
    ],
)
def test_an_ordinary_url_stays_as_it_is(text):
    assert redacted(text) == text
