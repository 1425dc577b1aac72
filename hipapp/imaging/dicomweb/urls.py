"""Addresses of DICOMweb, as PS3.18 lays them out."""

from django.urls import path

from hipapp.imaging.dicomweb import query, retrieve, store

app_name = "dicomweb"
_STUDY = "studies/<str:study>"
_SERIES = f"{_STUDY}/series/<str:series>"
_INSTANCE = f"{_SERIES}/instances/<str:instance>"
urlpatterns = [
    path("studies", store.Studies.as_view(), name="studies"),
    path("series", query.SeriesQuery.as_view(), name="all-series"),
    path("instances", query.InstancesQuery.as_view(), name="all-instances"),
    path(_STUDY, retrieve.Study.as_view(), name="study"),
    path(f"{_STUDY}/metadata", retrieve.Metadata.as_view(), name="study-metadata"),
    path(f"{_STUDY}/series", query.SeriesQuery.as_view(), name="study-series"),
    path(f"{_STUDY}/instances", query.InstancesQuery.as_view(), name="study-instances"),
    path(_SERIES, retrieve.Series.as_view(), name="series"),
    path(f"{_SERIES}/metadata", retrieve.Metadata.as_view(), name="series-metadata"),
    path(f"{_SERIES}/instances", query.InstancesQuery.as_view(), name="series-instances"),
    path(_INSTANCE, retrieve.OneInstance.as_view(), name="instance"),
    path(f"{_INSTANCE}/metadata", retrieve.Metadata.as_view(), name="instance-metadata"),
    path(f"{_INSTANCE}/rendered", retrieve.Rendered.as_view(), name="rendered"),
    path(f"{_INSTANCE}/thumbnail", retrieve.Rendered.as_view(), name="thumbnail"),
    path(f"{_INSTANCE}/frames/<str:frames>", retrieve.Frames.as_view(), name="frames"),
    path(f"{_INSTANCE}/frames/<str:frames>/rendered", retrieve.Rendered.as_view(), name="frame-rendered"),
    path(f"{_INSTANCE}/bulkdata/<str:tag>", retrieve.BulkData.as_view(), name="bulkdata"),
]
