"""All flights that left New York City in 2013, with the airlines, airports, planes and weather behind them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from django_enterprise_repo import RepositoryModel, SoftDeleteModel, VersionedModel

from .repositories import AirlineRepository, AirportRepository, FlightRepository, PlaneRepository, WeatherRepository


class Airline(VersionedModel):
    carrier = models.CharField(max_length=2, primary_key=True)
    name = models.CharField(max_length=50)

    objects = AirlineRepository()

    def __str__(self) -> str:
        return self.name


class Airport(RepositoryModel):
    faa = models.CharField("FAA code", max_length=3, primary_key=True)
    name = models.CharField(max_length=60)
    latitude = models.FloatField()
    longitude = models.FloatField()
    altitude = models.IntegerField(help_text="feet")
    utc_offset = models.FloatField(help_text="hours, without daylight saving")
    daylight_saving = models.CharField(max_length=1, help_text="A: as in the US, U: unknown, N: none")
    time_zone = models.CharField(max_length=40, null=True)

    objects = AirportRepository()

    def __str__(self) -> str:
        return f"{self.faa} {self.name}"


class Plane(SoftDeleteModel, VersionedModel):
    tailnum = models.CharField(max_length=6, primary_key=True)
    year = models.PositiveSmallIntegerField(null=True, help_text="of manufacture")
    type = models.CharField(max_length=30)
    manufacturer = models.CharField(max_length=40)
    model = models.CharField(max_length=20)
    engines = models.PositiveSmallIntegerField()
    seats = models.PositiveSmallIntegerField()
    speed = models.PositiveSmallIntegerField(null=True, help_text="cruising, miles an hour")
    engine = models.CharField(max_length=20)

    objects = PlaneRepository()
    history = HistoricalRecords(use_base_model_db=True)

    def __str__(self) -> str:
        return self.tailnum


class Flight(SoftDeleteModel):
    """One scheduled flight. What is not known of it, because it was cancelled or not reported, is null.

    The raw codes stay beside the keys they could not always be resolved to: 7,602 flights go to airports and
    52,606 were flown by planes that the other tables don't list.
    """

    airline = models.ForeignKey(Airline, models.PROTECT, related_name="flights")
    number = models.PositiveSmallIntegerField()
    origin = models.ForeignKey(Airport, models.PROTECT, related_name="departures")
    destination = models.ForeignKey(Airport, models.PROTECT, null=True, related_name="arrivals")
    destination_code = models.CharField(max_length=3)
    plane = models.ForeignKey(Plane, models.PROTECT, null=True, related_name="flights")
    tailnum = models.CharField(max_length=6, null=True)

    time_hour = models.DateTimeField(help_text="scheduled departure in UTC, to the hour")
    day = models.DateField(help_text="local day of the scheduled departure")
    # Local clock times as minutes after midnight of the day: 24:00 exists, so a TimeField would not do.
    scheduled_departure = models.PositiveSmallIntegerField(help_text="local, minutes after midnight")
    departure = models.PositiveSmallIntegerField(null=True, help_text="local, minutes after midnight")
    departure_delay = models.SmallIntegerField(null=True, help_text="minutes, negative when early")
    scheduled_arrival = models.PositiveSmallIntegerField(help_text="local, minutes after midnight")
    arrival = models.PositiveSmallIntegerField(null=True, help_text="local, minutes after midnight")
    arrival_delay = models.SmallIntegerField(null=True, help_text="minutes, negative when early")
    air_time = models.PositiveSmallIntegerField(null=True, help_text="minutes")
    distance = models.PositiveSmallIntegerField(help_text="miles")

    objects = FlightRepository()

    class Meta(SoftDeleteModel.Meta):
        constraints = (
            # For deleted rows too: a flight that was deleted by mistake is restored, not entered again.
            models.UniqueConstraint(fields=("airline", "number", "origin", "time_hour"), name="unique_flight"),
            models.CheckConstraint(
                condition=Q(destination=None) | Q(destination=models.F("destination_code")),
                name="destination_is_the_code",
            ),
            models.CheckConstraint(condition=Q(plane=None) | Q(plane=models.F("tailnum")), name="plane_is_the_tailnum"),
        )
        indexes = (models.Index(fields=("origin", "departure_delay"), name="flight_origin_delay"),)

    def __str__(self) -> str:
        return f"{self.airline_id}{self.number} {self.origin_id}–{self.destination_code} {self.day}"


class Weather(RepositoryModel):
    """One hour at one of the three airports."""

    origin = models.ForeignKey(Airport, models.PROTECT, related_name="weather")
    time_hour = models.DateTimeField()
    temperature = models.FloatField(null=True, help_text="°F")
    dew_point = models.FloatField(null=True, help_text="°F")
    humidity = models.FloatField(null=True, help_text="%")
    wind_direction = models.PositiveSmallIntegerField(null=True, help_text="degrees")
    wind_speed = models.FloatField(null=True, help_text="miles an hour")
    wind_gust = models.FloatField(null=True, help_text="miles an hour")
    precipitation = models.FloatField(null=True, help_text="inches")
    pressure = models.FloatField(null=True, help_text="millibar")
    visibility = models.FloatField(null=True, help_text="miles")

    objects = WeatherRepository()

    class Meta(RepositoryModel.Meta):
        verbose_name_plural = "weather"
        constraints = (models.UniqueConstraint(fields=("origin", "time_hour"), name="unique_weather"),)

    def __str__(self) -> str:
        return f"{self.origin_id} {self.time_hour:%Y-%m-%d %H:%M}"
