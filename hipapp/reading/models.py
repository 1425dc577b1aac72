"""HIMRISS as readers give it. For now totals taken down by hand; a reading by regions is never mixed with them unseen."""

import pghistory
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from hipapp.clinic.models import Side


@pghistory.track()
class Read(models.Model):
    """One reader's HIMRISS of one hip at one visit. A newer read of the same reader and hip replaces the older, which stays."""

    class Method(models.TextChoices):
        TOTALS = "totals", "Totals by hand"
        REGIONS = "regions", "Region marks"

    visit = models.ForeignKey("clinic.Visit", on_delete=models.CASCADE, related_name="reads")
    study = models.ForeignKey("imaging.Study", null=True, blank=True, on_delete=models.SET_NULL, related_name="reads")
    side = models.CharField(max_length=5, choices=Side.choices)
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reads")
    method = models.CharField(max_length=8, choices=Method.choices, default=Method.TOTALS)
    is_assessable = models.BooleanField(
        default=True, help_text="No: the hip can't be read (prosthesis, not imaged); that is not 0"
    )
    femoral_bme = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(65)], help_text="Femoral BME, 0–65"
    )
    acetabular_bme = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(35)], help_text="Acetabular BME, 0–35"
    )
    effusion = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(30)], help_text="Synovitis / effusion, 0–30"
    )
    total = models.PositiveSmallIntegerField(null=True, blank=True, editable=False, help_text="HIMRISS of the hip, 0–130")
    comment = models.CharField(max_length=300, blank=True, help_text="Free text; no names")
    is_current = models.BooleanField(default=True, help_text="No: replaced by a newer read of the same reader")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["visit", "side", "reader", "method"],
                condition=models.Q(is_current=True),
                name="one_current_read_per_reader_and_hip",
            )
        ]

    def __str__(self) -> str:
        return f"HIMRISS {self.side} of visit {self.visit_id} by {self.reader_id}"
