"""Files stored before DICOMweb learn the series they belong to; what they are searched by is read when they are asked for."""

from django.db import migrations

FILL = """
UPDATE imaging_instance SET series_uid = found.series_uid
FROM (
    SELECT DISTINCT ON (link.instance_id) link.instance_id, series.series_uid
    FROM imaging_instance_series AS link JOIN imaging_series AS series ON series.id = link.series_id
    ORDER BY link.instance_id, series.id
) AS found
WHERE found.instance_id = imaging_instance.id AND imaging_instance.series_uid = ''
"""


class Migration(migrations.Migration):
    dependencies = [("imaging", "0009_received_bytes")]
    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
