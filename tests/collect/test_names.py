import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.collect.names import choices, photo_name, safe_name, tagged

any_text = st.text(st.characters(), max_size=300)  # surrogates and all


@pytest.mark.parametrize("name", ["cat.jpg", "naïve café.png", "日本語", "🦀", "a b.jpg", "x.y.z"])
def test_safe_names_stay_as_they_are(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("-rf.jpg", "_-rf-"),
        (".hidden.jpg", "_.hidden-"),
        ("a\nb.jpg", "a_b-"),
        ("a/b.jpg", "a_b-"),
        ("a\\b.jpg", "a_b-"),
        ("caf\udce9.jpg", "caf_-"),
        ("CON", "_CON-"),
        ("nul.tar.gz", "_nul.tar-"),
        ("dots...", "dots-"),
        ("...", "_-"),
        ("line\u2028end", "line_end-"),
    ],
)
def test_unsafe_names_are_cleaned_and_marked(name: str, start: str) -> None:
    assert safe_name(name).startswith(start)


def test_one_word_in_two_unicode_forms_is_one_name() -> None:
    assert safe_name(unicodedata.normalize("NFD", "café")) == "café"


def test_names_of_255_bytes_stay_and_longer_ones_are_cut_between_characters() -> None:
    longest = "é" * 125 + "a.jpg"
    assert len(longest.encode()) == 255
    assert safe_name(longest) == longest
    cut = safe_name("é" + longest)
    assert len(cut.encode()) <= 255
    assert cut.endswith(".jpg")


@given(any_text)
def test_every_name_becomes_safe_and_stays_so(name: str) -> None:
    safe = safe_name(name)
    assert 1 <= len(safe.encode()) <= 255
    assert "/" not in safe and "\\" not in safe
    assert safe[0] not in "-." and safe[-1] not in ". "
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in safe)
    assert safe_name(safe) == safe


@given(any_text, any_text)
def test_two_names_never_become_one(one: str, other: str) -> None:
    if unicodedata.normalize("NFC", one) != unicodedata.normalize("NFC", other):
        assert safe_name(one) != safe_name(other)


def test_unsafe_names_that_clean_alike_stay_apart() -> None:
    assert len({safe_name(name) for name in ("a\nb", "a\rb", "a/b", "a_b")}) == 4


def test_photos_without_a_photo_suffix_get_the_one_of_their_content() -> None:
    assert photo_name("IMG_1", "JPEG") == "IMG_1.jpg"
    assert photo_name("page.html", "PNG") == "page.html.png"
    assert photo_name("a.JPG.", "JPEG") == "a.JPG"


def test_a_photo_suffix_stays_though_the_content_is_another() -> None:
    assert photo_name("really-a-png.jpg", "PNG") == "really-a-png.jpg"


def test_choices_depend_on_the_content_and_never_run_out() -> None:
    names = choices("a.jpg", "0123456789abcdef")
    assert [next(names) for _ in range(4)] == [
        "a.jpg",
        "a-01234567.jpg",
        "a-01234567-2.jpg",
        "a-01234567-3.jpg",
    ]


def test_a_tag_fits_into_255_bytes() -> None:
    assert len(tagged("x" * 251 + ".jpg", "01234567").encode()) == 255
    assert tagged("Mr. A long sentence", "01") == "Mr. A long sentence-01"
