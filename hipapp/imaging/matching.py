"""Is the person whom the files name the patient that was chosen? Answers name fields, never values."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date

from hipapp.clinic.identity import open_identity
from hipapp.clinic.models import Patient
from hipapp.core import crypto
from hipapp.imaging.dicom.identity import Identity, compare_identity
from hipapp.imaging.models import Study, StudyIdentity

DIFFERENT_PERSONS = "the files name different persons"


def mismatches(identity: Identity, patient: Patient) -> list[str]:
    """Which fields of the files differ from the patient's, in words; empty where nothing contradicts."""
    known = open_identity(patient)
    fields = compare_identity(
        identity, name=known.name if known else "", birth_on=known.birth_on if known else None, sex=patient.sex
    )
    has_birth_date = known is not None and known.birth_on is not None
    if not has_birth_date and patient.birth_year and identity.birth_on and identity.birth_on.year != patient.birth_year:
        fields = [*fields, "birth year"]
    return [f"{field} differs" for field in fields]


def are_different(identities: Iterable[Identity]) -> bool:
    """Whether the files of one study contradict each other about whose they are."""
    identities = list(identities)
    for key in ("name", "patient_id", "birth_on", "sex"):
        if len({str(value).casefold() for identity in identities if (value := getattr(identity, key))}) > 1:
            return True
    return False


def keep_identity(study: Study, identity: Identity) -> None:
    """Keep who the files named, encrypted, until a person has attached the study."""
    data_key = crypto.new_data_key()
    values = {key: str(value) for key, value in asdict(identity).items() if value and key != "acquired_at"}
    StudyIdentity.objects.update_or_create(
        study=study, defaults={"data_key": data_key, "ciphertext": crypto.seal(data_key, values)}
    )


def kept_identity(study: Study) -> Identity | None:
    """Whom the files named, where it is still kept."""
    row = StudyIdentity.objects.filter(study=study).first()
    if row is None:
        return None
    values = crypto.unseal(bytes(row.data_key), bytes(row.ciphertext))
    birth_on = values.get("birth_on")
    return Identity(
        name=values.get("name", ""),
        patient_id=values.get("patient_id", ""),
        birth_on=date.fromisoformat(birth_on) if birth_on else None,
        sex=values.get("sex", ""),
        acquired_at=study.acquired_at,
    )


def forget_identity(study: Study) -> None:
    """Drop whom the files named: the study has a patient now."""
    StudyIdentity.objects.filter(study=study).delete()
