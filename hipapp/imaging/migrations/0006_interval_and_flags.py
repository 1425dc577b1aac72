from django.db import migrations, models


class Migration(migrations.Migration):
    """The interval around a score, and the faults of its pictures."""

    dependencies = [("imaging", "0005_policy_originals_erasure")]

    operations = [
        migrations.AddField(
            model_name="score",
            name="interval_low",
            field=models.FloatField(blank=True, help_text="Lower end of the interval around the UNet-score", null=True),
        ),
        migrations.AddField(
            model_name="score",
            name="interval_high",
            field=models.FloatField(blank=True, help_text="Upper end of the interval around the UNet-score", null=True),
        ),
        migrations.AddField(
            model_name="score",
            name="interval_level",
            field=models.FloatField(blank=True, help_text="Probability that the interval holds the true score", null=True),
        ),
        migrations.AddField(
            model_name="score",
            name="interval_method",
            field=models.CharField(blank=True, default="", max_length=120),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="score",
            name="flags",
            field=models.JSONField(
                default=list,
                help_text="Faults of the pictures: code, side (empty: of the stack), value, limit, stops, message of each",
            ),
        ),
    ]
