"""A model with every kind of constraint."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from django_enterprise_repo import RepositoryModel


class Booking(RepositoryModel):
    """Every kind of constraint, over columns that are not called like their fields."""

    code = models.CharField(max_length=8, unique=True, db_column="kode")
    room = models.CharField(max_length=8, db_column="raum")
    seats = models.IntegerField(default=1)
    rank = models.PositiveIntegerField(default=0)
    tag = models.ForeignKey("testapp.Tag", models.CASCADE, null=True, db_column="etikett", related_name="bookings")

    class Meta:
        unique_together = [("room", "rank")]
        constraints = [
            models.CheckConstraint(condition=models.Q(seats__lte=models.F("rank") + 9), name="booking_seats_fit"),
            models.UniqueConstraint(Lower("room"), "seats", name="booking_room_any_case"),
            models.UniqueConstraint(fields=["seats", "tag"], name="booking_one_tag"),
        ]
