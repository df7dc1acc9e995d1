from __future__ import annotations

from django.contrib import admin

from django_enterprise_repo.admin import RepositoryAdmin

from .models import Airline, Airport, Flight, Plane, Weather


@admin.register(Airline)
class AirlineAdmin(RepositoryAdmin):
    list_display = ("carrier", "name")


@admin.register(Airport)
class AirportAdmin(RepositoryAdmin):
    list_display = ("faa", "name", "altitude", "time_zone")
    search_fields = ("faa", "name")


@admin.register(Plane)
class PlaneAdmin(RepositoryAdmin):
    list_display = ("tailnum", "manufacturer", "model", "year", "seats")
    search_fields = ("tailnum", "manufacturer")


@admin.register(Flight)
class FlightAdmin(RepositoryAdmin):
    list_display = ("day", "airline", "number", "origin", "destination_code", "departure_delay")
    list_select_related = ("airline", "origin")
    # Selects of hundreds of thousands of rows would be unusable.
    raw_id_fields = ("airline", "origin", "destination", "plane")
    search_fields = ("tailnum", "destination_code")


@admin.register(Weather)
class WeatherAdmin(RepositoryAdmin):
    list_display = ("time_hour", "origin", "temperature", "wind_speed", "visibility")
    list_select_related = ("origin",)
