import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("imaging", "0007_model_files"),
    ]

    operations = [
        migrations.CreateModel(
            name="DerivedObject",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("seg", "segmentation"), ("sr", "measurement report")], max_length=3)),
                ("sop_uid", models.CharField(help_text="SOP Instance UID, made by keyed hash", max_length=64)),
                ("content_sha256", models.CharField(help_text="Of the pixel data of a segmentation, the content of a report", max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("study", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="derived_objects", to="imaging.study")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("study", "sop_uid"), name="one_derived_object_once")],
            },
        ),
    ]
