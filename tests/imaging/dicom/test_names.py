"""Names in the character sets of the world, declared rightly, wrongly and not at all."""

import io

import pytest
from pydicom import dcmread

from hipapp.imaging.dicom.identity import compare_identity, identity_of
from ml.dicom.parse import parse
from tests.builders import dicom as build

PLACE = b"PLACEHOLDERNAME^PLACEHOLDER^PLACEHOLDER^^PLACEHOLDER"


def with_name(raw: bytes, charset: str | list[str] | None):
    """A data set read from a file whose name has these bytes under this declared set."""
    (dataset,) = build.classic(build.random_stack((1, 8, 8)))
    dataset.PatientName = PLACE.decode()
    if charset is not None:
        dataset.SpecificCharacterSet = charset if charset != "ISO_IR 999" else "ISO_IR 100"
    assert len(raw) <= len(PLACE)
    content = build.to_bytes(dataset).replace(PLACE, raw.ljust(len(PLACE)))
    return parse(content.replace(b"ISO_IR 100", b"ISO_IR 999") if charset == "ISO_IR 999" else content)


DECLARED = [
    ("GB18030", "王^小东", "gb18030"),
    ("ISO_IR 100", "Müller^Jörg", "latin_1"),
    ("ISO_IR 101", "Łukasz^Żółć", "iso8859_2"),
    ("ISO_IR 144", "Иванов^Пётр", "iso8859_5"),
    ("ISO_IR 127", "قباني^لنزار", "iso8859_6"),
    ("ISO_IR 126", "Διονυσιος^Α", "iso8859_7"),
    ("ISO_IR 138", "שרון^דבורה", "iso8859_8"),
    ("ISO_IR 148", "Çavuşoğlu^İpek", "iso8859_9"),
    ("ISO_IR 166", "สมชาย^ใจดี", "tis_620"),
    ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", "shift_jis"),
    ("ISO_IR 192", "山田^太郎", "utf_8"),
    ("ISO_IR 192", "Müller^Jörg", "utf_8"),
]
WRONG = [
    (None, "Müller^Jörg", "utf_8"),  # nothing declared
    (None, "Иванов^Пётр", "utf_8"),
    (None, "Müller^Jörg", "latin_1"),
    (None, "王^小东", "gb18030"),
    (None, "王小东", "gb18030"),
    ("ISO_IR 100", "Müller^Jörg", "utf_8"),  # declared Latin, written UTF-8
    ("ISO_IR 100", "山田^太郎", "utf_8"),
    ("ISO_IR 192", "Müller^Jörg", "latin_1"),  # declared UTF-8, written Latin or Chinese
    ("ISO_IR 192", "王^小东", "gb18030"),
    ("ISO_IR 999", "Müller^Jörg", "utf_8"),  # no such set
    ("ISO_IR 13", "山田^太郎", "shift_jis"),  # kanji under the set of half-width kana
    ("ISO_IR 6", "Groß^Änne", "latin_1"),
]


@pytest.mark.parametrize(("charset", "name", "encoding"), [*DECLARED, *WRONG])
def test_names_are_read_as_they_are_meant(charset, name, encoding):
    identity = identity_of(with_name(name.encode(encoding), charset))
    assert identity.name == name


@pytest.mark.parametrize(
    ("charset", "codes"),
    [(["", "ISO 2022 IR 87"], True), (["ISO 2022 IR 13", "ISO 2022 IR 87"], True), (None, False), ("ISO_IR 100", False)],
)
def test_japanese_escape_sequences_with_and_without_their_sets(charset, codes):
    kanji = b"\x1b$B" + "山田".encode("iso2022_jp")[3:-3] + b"\x1b(B^\x1b$B" + "太郎".encode("iso2022_jp")[3:-3] + b"\x1b(B"
    assert identity_of(with_name(b"Yamada^Tarou=" + kanji, charset)).name == "Yamada^Tarou=山田^太郎"


def test_korean_escape_sequences():
    korean = b"\x1b$)C" + "홍".encode("euc_kr") + b"^\x1b$)C" + "길동".encode("euc_kr")
    for charset in (["", "ISO 2022 IR 149"], None):
        assert identity_of(with_name(b"Hong^Gildong==" + korean, charset)).name == "Hong^Gildong==홍^길동"


@pytest.mark.parametrize(
    ("charset", "name", "encoding", "typed"),
    [
        ("GB18030", "Wang^XiaoDong=王^小东", "gb18030", "王小东"),
        (None, "王^小东", "gb18030", "王小东"),
        ("ISO_IR 144", "Иванов^Пётр", "iso8859_5", "Пётр Иванов"),
        ("ISO_IR 127", "قباني^لنزار", "iso8859_6", "لنزار قباني"),
        ("ISO_IR 101", "Łukasz^Żółć", "iso8859_2", "Zolc Lukasz"),
        ("ISO_IR 100", "Müller^Jörg", "utf_8", "Jörg Müller"),
        ("ISO_IR 192", "Müller^Jörg", "latin_1", "Mueller, Joerg"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", "shift_jis", "ヤマダ タロウ"),
    ],
)
def test_names_agree_with_what_people_type(charset, name, encoding, typed):
    identity = identity_of(with_name(name.encode(encoding), charset))
    assert compare_identity(identity, name=typed) == []
    assert compare_identity(identity, name="Someone Else") == ["name"]


def test_ascii_names_and_no_name():
    assert identity_of(with_name(b"Doe^Jane", "GB18030")).name == "Doe^Jane"
    (dataset,) = build.classic(build.random_stack((1, 8, 8)))
    assert identity_of(dataset).name == ""
    dataset.PatientName = "Müller^Jörg"  # made in memory: no bytes to be read
    assert identity_of(dataset).name == "Müller^Jörg"


def test_bytes_that_are_nothing_do_no_harm():
    name = identity_of(with_name(bytes(range(128, 170)), "ISO_IR 192")).name
    assert isinstance(name, str)


def test_a_name_read_again_after_its_decoding_is_the_same(corpus):
    dataset = dcmread(io.BytesIO((corpus / "charset" / "chrX2.dcm").read_bytes()))
    assert dataset.PatientName
    assert identity_of(dataset).name == "Wang^XiaoDong=王^小东"
