import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.errors import ToolError
from ml_intern.tools.files.text_file import NotText, decode, split_lines


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        ("é\n".encode(), "é\n", "utf-8"),
        (b"\xef\xbb\xbfabc", "abc", "utf-8"),
        ("\ufeffabc".encode("utf-16-le"), "abc", "utf-16-le"),
        ("\ufeffabc".encode("utf-16-be"), "abc", "utf-16-be"),
        ("\ufeffabc".encode("utf-32-le"), "abc", "utf-32-le"),
        (b"caf\xe9 \x93x\x94", "café “x”", "cp1252"),
        (b"caf\xe9 \x81", "café \x81", "latin-1"),
        (b"", "", "utf-8"),
    ],
)
def test_encodings_are_told_apart(data: bytes, text: str, encoding: str) -> None:
    file = decode(data)
    assert (file.text, file.encoding) == (text, encoding)
    assert file.encode(text) == data


@pytest.mark.parametrize("data", [b"\x00\x01\x02", b"text\x00more", bytes(range(1, 32)) * 3, b"\x7fELF\x02\x01\x01\x00"])
def test_binary_files_are_no_text(data: bytes) -> None:
    with pytest.raises(NotText):
        decode(data)


@given(st.binary(max_size=200))
def test_decoding_and_encoding_give_the_same_bytes(data: bytes) -> None:
    try:
        file = decode(data)
    except NotText:
        return
    assert file.encode(file.text) == data


def test_a_character_that_the_encoding_lacks_is_refused_by_name() -> None:
    with pytest.raises(ToolError, match=r"latin-1 and cannot hold '→' \(U\+2192\)"):
        decode(b"\xe9\x81").encode("→")


def test_form_feeds_and_line_separators_are_no_line_ends() -> None:
    assert split_lines("a\x0cb\u2028c\x85d\ne\r\nf\rg\n") == ["a\x0cb\u2028c\x85d", "e", "f", "g"]
    assert split_lines("") == []
    assert split_lines("\n\n") == ["", ""]
