import base64

from hypothesis import given
from hypothesis import strategies as st

from jobs import lookup
from jobs.transform import load_transform


def test_every_transform_is_found_by_its_file_name():
    assert {"plain", "rot13", "base64"} <= set(lookup.names("transforms"))


@given(st.text())
def test_rot13_is_its_own_inverse_and_keeps_what_is_no_letter(text):
    rot13 = load_transform("rot13")
    assert rot13.invert(rot13.apply(text, 0)) == text
    assert rot13.apply(rot13.apply(text, 0), 0) == text
    assert [c for c in rot13.apply(text, 0) if not c.isascii() or not c.isalpha()] == [
        c for c in text if not c.isascii() or not c.isalpha()
    ]


@given(st.text())
def test_base64_is_the_standard_one_and_comes_back(text):
    transform = load_transform("base64")
    assert base64.b64decode(transform.apply(text, 0), validate=True).decode() == text
    assert transform.invert(transform.apply(text, 0)) == text


@given(st.lists(st.text(alphabet="abc ", min_size=3, max_size=3)))
def test_base64_of_pieces_of_three_bytes_joins_to_that_of_the_whole(pieces):
    transform = load_transform("base64")
    joined = "".join(transform.apply(piece, 0) for piece in pieces)
    assert joined == transform.apply("".join(pieces), 0)


def test_base64_among_other_text_is_decoded_where_it_stands():
    said = load_transform("base64").apply("grumble ", 0)
    assert "grumble" in load_transform("base64").invert(f"- {said} -")


def test_plain_changes_nothing():
    assert load_transform("plain").apply("a b", 3) == load_transform("plain").invert("a b")
