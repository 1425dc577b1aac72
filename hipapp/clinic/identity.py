"""Who a patient is: the only place where names, record numbers and birth dates are encrypted and read."""

from dataclasses import dataclass
from datetime import date

from hipapp.clinic.models import Patient, PatientIdentity, PatientKey
from hipapp.core import crypto


@dataclass(frozen=True)
class Identity:
    """A patient's name, hospital record number and birth date; empty parts are not known."""

    name: str = ""
    record_number: str = ""
    birth_on: date | None = None


def open_identity(patient: Patient) -> Identity | None:
    """The identity in clear, or None where none was entered.

    For the server's own comparisons (a study's name against the patient's). Whatever is shown to a person goes through
    `clinic.selectors.identity_for`, which asks for the role.

    Raises
    ------
    DecryptionError
        When the key was destroyed or belongs to another installation.
    """
    row = PatientIdentity.objects.filter(patient=patient).select_related("patient__data_key").first()
    return None if row is None else unseal(row)


def unseal(row: PatientIdentity) -> Identity | None:
    """The identity in a row; None where its key was destroyed (erasure). `patient__data_key` should be selected."""
    key: PatientKey | None = getattr(row.patient, "data_key", None)
    if key is None:
        return None
    values = crypto.unseal(bytes(key.wrapped), bytes(row.ciphertext))
    birth_on = values.get("birth_on", "")
    return Identity(
        name=values.get("name", ""),
        record_number=values.get("record_number", ""),
        birth_on=date.fromisoformat(birth_on) if birth_on else None,
    )


def store(patient: Patient, identity: Identity) -> PatientIdentity:
    """Encrypt and keep an identity under the patient's own key, made on first use."""
    key, _ = PatientKey.objects.get_or_create(patient=patient, defaults={"wrapped": crypto.new_data_key()})
    values = {
        "name": identity.name,
        "record_number": identity.record_number,
        "birth_on": identity.birth_on.isoformat() if identity.birth_on else "",
    }
    digest = record_digest(patient.centre_id, identity.record_number) if identity.record_number else None
    row, _ = PatientIdentity.objects.update_or_create(
        patient=patient, defaults={"ciphertext": crypto.seal(bytes(key.wrapped), values), "record_digest": digest}
    )
    return row


def record_digest(centre_id: int, record_number: str) -> bytes:
    """Keyed digest by which a record number is found again within its centre; case and spaces don't count."""
    plain = "".join(record_number.split()).upper()
    return crypto.keyed_digest("record number", f"{centre_id}:{plain}")
