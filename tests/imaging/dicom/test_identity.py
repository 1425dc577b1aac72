"""Names and dates of files in many writings, and what counts as the same person."""

from datetime import UTC, date, datetime, timedelta

import pytest
from pydicom import Dataset

from hipapp.imaging.dicom.identity import Identity, compare_identity, identity_of


def dataset_of(**tags: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("in_file", "chosen"),
    [
        ("MÜLLER^Hans", "Müller, Hans"),
        ("Mueller^Hans", "Hans Müller"),
        ("Muller^Hans^Peter^Dr.", "Hans Müller"),
        ("Hans Müller", "MÜLLER^HANS^PETER"),
        ("García López^María José", "Maria Garcia Lopez"),
        ("O'Brien^Pat", "OBRIEN PAT"),
        ("Smith^J", "John Smith"),
        ("Smith-Jones^Ann", "Ann Smith Jones"),
        ("van der Berg^Jan", "Vanderberg Jan"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田 太郎"),
        ("Łukasz^Wójcik", "Wojcik Lukasz"),
        ("Strauß^Eva", "Strauss Eva"),
        ("Sørensen^Bo", "Soerensen Bo"),
        ("Иванов^Иван", "иван иванов"),
    ],
)
def test_same_name(in_file, chosen):
    assert compare_identity(Identity(name=in_file), name=chosen) == []
    assert compare_identity(Identity(name=chosen), name=in_file) == []


@pytest.mark.parametrize(
    ("in_file", "chosen"),
    [
        ("Smith^John", "Smith^Mary"),
        ("Smith^John", "Jones^John"),
        ("Smith", "Smith John"),
        ("J^S", "John Smith"),
        ("Yamada^Tarou=山田^太郎", "鈴木 太郎"),
        ("Smith^J", "Smith Mary"),
    ],
)
def test_other_name(in_file, chosen):
    assert compare_identity(Identity(name=in_file), name=chosen) == ["name"]


def test_differences_are_named_and_never_told():
    identity = Identity(name="Zebulon^Quimby", birth_on=date(1977, 1, 31), sex="M")
    found = compare_identity(identity, name="Smith John", birth_on=date(1980, 2, 2), sex="F")
    assert found == ["name", "birth date", "sex"]
    assert "Zebulon" not in repr(identity)
    assert compare_identity(identity, name="Quimby Zebulon", birth_on=date(1977, 1, 31), sex="male") == []


def test_what_is_missing_is_not_compared():
    assert compare_identity(Identity(), name="Smith John", birth_on=date(1980, 2, 2), sex="F") == []
    assert compare_identity(Identity(name="Smith^John", birth_on=date(1980, 2, 2), sex="M")) == []
    assert compare_identity(Identity(sex="O"), sex="F") == []


def test_identity_is_read_from_the_file():
    identity = identity_of(
        dataset_of(
            PatientName="Zebulon^Quimby",
            PatientID="77",
            PatientBirthDate="19770131",
            PatientSex="F",
            StudyDate="20240301",
            AcquisitionDate="20240302",
            AcquisitionTime="101112.5",
            TimezoneOffsetFromUTC="+0200",
        )
    )
    assert (identity.name, identity.patient_id, identity.birth_on) == ("Zebulon^Quimby", "77", date(1977, 1, 31))
    assert identity.sex == "F"
    assert identity.acquired_at == datetime(2024, 3, 2, 8, 11, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"AcquisitionDateTime": "20240302101112.345+0100"}, datetime(2024, 3, 2, 9, 11, 12, tzinfo=UTC)),
        ({"StudyDate": "20240302"}, datetime(2024, 3, 2, tzinfo=UTC)),
        ({"StudyDate": "20240302", "StudyTime": "1011"}, datetime(2024, 3, 2, 10, 11, tzinfo=UTC)),
        ({"StudyDate": ""}, None),
    ],
)
def test_time_of_acquisition(tags, expected):
    found = identity_of(dataset_of(**tags)).acquired_at
    assert found == expected
    assert found is None or found.utcoffset() is not None
    assert found is None or found.utcoffset() < timedelta(hours=15)


def test_dates_of_the_old_standard_have_dots():
    dataset = Dataset()
    dataset.add_new(0x00080020, "LO", "2024.03.02")
    assert identity_of(dataset).acquired_at == datetime(2024, 3, 2, tzinfo=UTC)


def test_broken_values_count_as_missing():
    dataset = Dataset()
    dataset.add_new(0x00100030, "LO", "19771399")
    dataset.add_new(0x00080020, "LO", "not a day")
    dataset.add_new(0x00100040, "LO", "unknown")
    assert identity_of(dataset) == Identity()


def test_a_pseudonym_is_no_name():
    identity = identity_of(dataset_of(PatientName="S123", PatientID="S123", PatientIdentityRemoved="YES"))
    assert (identity.name, identity.patient_id) == ("", "")


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("file", "chosen"),
    [
        ("chrArab.dcm", "قباني لنزار"),
        ("chrFren.dcm", "Jérôme Buc"),
        ("chrGerm.dcm", "Rüdiger Äneas"),
        ("chrGreek.dcm", "Διονυσιος"),
        ("chrH31.dcm", "山田 太郎"),
        ("chrH32.dcm", "山田 太郎"),
        ("chrHbrw.dcm", "שרון דבורה"),
        ("chrI2.dcm", "김희중 Hong Gildong"),
        ("chrRuss.dcm", "Люкceмбypг"),
        ("chrX1.dcm", "王 小東"),
        ("chrX2.dcm", "王 小东"),
    ],
)
def test_real_names_in_their_character_sets(corpus, file, chosen):
    from pydicom import dcmread

    identity = identity_of(dcmread(corpus / "charset" / file, force=True))
    assert identity.name
    assert compare_identity(identity, name="Smith John") == ["name"]
    if file != "chrI2.dcm":
        assert compare_identity(identity, name=chosen) == []
