"""What tests compile of modules without shapes is what anybody would: it stays on disk for all."""

import pytest

import analysis.measurement


@pytest.mark.parametrize("name", ["Key", "Num", "Shaped"])
def test_a_module_with_a_name_of_jaxtyping_s_and_no_shapes_is_compiled_as_it_stands(name: str):
    """A command that a test starts would read decorators whose checker only the test knows."""
    source = f"{name} = tuple[str, ...]\n\n\ndef label(key: {name}) -> str:\n    return key[0]\n"
    loader = object.__new__(type(analysis.measurement.__loader__))
    compiled = loader.source_to_code(source.encode(), "keys.py")
    assert compiled == compile(source, "keys.py", "exec", dont_inherit=True)
