"""Addresses of imaging."""

from django.urls import path

from hipapp.imaging.export.service import KINDS
from hipapp.imaging.returning import KINDS as RETURNED
from hipapp.imaging.views import comparisons, export, images, lists, models, privacy, resumable, senders, studies, uploads

app_name = "imaging"
urlpatterns = [
    path("studies/", lists.study_list, name="studies"),
    path("studies/unassigned/", lists.waiting_list, name="unassigned"),
    path("studies/patients/", lists.pick_patient, name="pick-patient"),
    path("studies/<uuid:pk>/", studies.study_detail, name="study"),
    path("studies/<uuid:pk>/conflict/", studies.study_conflict, name="conflict"),
    path("studies/senders/", senders.senders, name="senders"),
    path("studies/senders/<int:pk>/", senders.sender_edit, name="sender-edit"),
    path("studies/policy/<int:pk>/", privacy.policy, name="policy"),
    path("studies/<uuid:pk>/protocol/", privacy.protocol_override, name="override-protocol"),
    path("studies/<uuid:pk>/deidentification/", privacy.deidentification, name="deidentification"),
    path("studies/<uuid:pk>/originals/", privacy.originals, name="originals"),
    *(path(f"studies/<uuid:pk>/return/{kind}/", privacy.returned, {"kind": kind}, name=f"return-{kind}") for kind in RETURNED),
    path("studies/<uuid:pk>/erase/", privacy.study_erase, name="study-erase"),
    path("patients/<int:pk>/erase/", privacy.patient_erase, name="patient-erase"),
    path("studies/<uuid:pk>/attach/", studies.study_attach, name="attach"),
    path("studies/<uuid:pk>/detach/", studies.study_detach, name="detach"),
    path("studies/<uuid:pk>/release/", studies.study_release, name="release"),
    path("studies/<uuid:pk>/review/", studies.study_review, name="review"),
    path("studies/<uuid:pk>/series/", studies.study_series, name="choose-series"),
    path("studies/<uuid:pk>/score/", studies.study_score, name="score"),
    *(path(f"studies/<uuid:pk>/export/{kind}/", export.study_export, {"kind": kind}, name=f"export-{kind}") for kind in KINDS),
    path("studies/<uuid:pk>/series/<int:series_id>/slices/<int:index>.png", images.slice_image, name="slice"),
    path("studies/<uuid:pk>/series/<int:series_id>/outlines/<int:index>.png", images.outline_image, name="outlines"),
    path("studies/<uuid:pk>/<str:side>.png", images.thumbnail_image, name="thumbnail"),
    path("models/", models.model_list, name="models"),
    path("models/import/", models.model_import, name="model-import"),
    path("models/rollback/", models.model_rollback, name="model-rollback"),
    path("models/<int:pk>/", models.model_detail, name="model"),
    path("models/<int:pk>/rescore/", models.model_rescore, name="model-rescore"),
    path("models/<int:pk>/promote/", models.model_promote, name="model-promote"),
    path("models/comparisons/", comparisons.cross_validation_list, name="cross-validations"),
    path("models/comparisons/<int:pk>/", comparisons.cross_validation_detail, name="cross-validation"),
    path("models/comparisons/<int:pk>/hips/", comparisons.cross_validation_hips, name="cross-validation-hips"),
    path("models/comparisons/<int:pk>/cases.csv", comparisons.cross_validation_csv, name="cross-validation-csv"),
    path("models/rescorings/<int:pk>/", models.rescoring_detail, name="rescoring"),
    path("studies/<uuid:pk>/instances/<int:instance_id>.png", images.instance_image, name="instance"),
    path("uploads/", uploads.upload_page, name="upload"),
    path("uploads/start/", uploads.upload_start, name="upload-start"),
    path("uploads/<uuid:pk>/", uploads.upload_result, name="upload-result"),
    path("uploads/<uuid:pk>/files/", resumable.NewFile.as_view(), name="tus"),
    path("uploads/<uuid:pk>/files/<int:number>", resumable.OneFile.as_view(), name="tus-file"),
    path("uploads/<uuid:pk>/finish/", uploads.upload_finish, name="upload-finish"),
    path("uploads/<uuid:pk>/cancel/", uploads.upload_cancel, name="upload-cancel"),
]
