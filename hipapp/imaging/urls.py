"""Addresses of imaging."""

from django.urls import path

from hipapp.imaging.views import images, lists, studies, uploads

app_name = "imaging"
urlpatterns = [
    path("studies/", lists.study_list, name="studies"),
    path("studies/unassigned/", lists.waiting_list, name="unassigned"),
    path("studies/patients/", lists.pick_patient, name="pick-patient"),
    path("studies/<uuid:pk>/", studies.study_detail, name="study"),
    path("studies/<uuid:pk>/attach/", studies.study_attach, name="attach"),
    path("studies/<uuid:pk>/detach/", studies.study_detach, name="detach"),
    path("studies/<uuid:pk>/release/", studies.study_release, name="release"),
    path("studies/<uuid:pk>/review/", studies.study_review, name="review"),
    path("studies/<uuid:pk>/series/", studies.study_series, name="choose-series"),
    path("studies/<uuid:pk>/score/", studies.study_score, name="score"),
    path("studies/<uuid:pk>/series/<int:series_id>/slices/<int:index>.png", images.slice_image, name="slice"),
    path("studies/<uuid:pk>/series/<int:series_id>/outlines/<int:index>.png", images.outline_image, name="outlines"),
    path("uploads/", uploads.upload_page, name="upload"),
    path("uploads/start/", uploads.upload_start, name="upload-start"),
    path("uploads/<uuid:pk>/", uploads.upload_result, name="upload-result"),
    path("uploads/<uuid:pk>/files/", uploads.upload_files, name="upload-files"),
    path("uploads/<uuid:pk>/finish/", uploads.upload_finish, name="upload-finish"),
    path("uploads/<uuid:pk>/cancel/", uploads.upload_cancel, name="upload-cancel"),
]
