"""What clients may filter and order by, under the names they know."""

from __future__ import annotations

from django_enterprise_repo import CachePolicy, FilterField, FilterPolicy, Repository

#: Seconds for which a written flight is not cached: few, so that the demo need not wait for long.
LOCKED = 1


class AirlineRepository(Repository["Airline"]):
    filters = FilterPolicy(fields=("carrier", "name"), ordering=("name",))


class AirportRepository(Repository["Airport"]):
    filters = FilterPolicy(fields=("faa", "name", "altitude", "time_zone"), ordering=("faa",))


class PlaneRepository(Repository["Plane"]):
    filters = FilterPolicy(
        fields=("tailnum", "year", "manufacturer", "model", "engines", "seats", "engine"),
        ordering=("tailnum",),
    )


class FlightRepository(Repository["Flight"]):
    cache = CachePolicy(ttl=300, lock_ttl=LOCKED)
    filters = FilterPolicy(
        fields=(
            "id",
            "number",
            "day",
            "time_hour",
            "departure_delay",
            "arrival_delay",
            "air_time",
            "distance",
            "tailnum",
            FilterField("carrier", path="airline"),
            FilterField("airline", path="airline__name"),
            FilterField("origin", path="origin"),
            FilterField("destination", path="destination_code"),
            FilterField("manufacturer", path="plane__manufacturer"),
            FilterField("seats", path="plane__seats"),
        ),
        ordering=("time_hour",),
    )


class WeatherRepository(Repository["Weather"]):
    filters = FilterPolicy(
        fields=("origin", "time_hour", "temperature", "wind_speed", "wind_gust", "visibility"),
        ordering=("time_hour",),
    )
