"""From the CSV files to unsaved model instances, a row at a time."""

from __future__ import annotations

import csv
import datetime
import lzma
from collections.abc import Collection, Iterator
from io import TextIOWrapper
from pathlib import Path

from .models import Airline, Airport, Flight, Plane, Weather

DATA = Path(__file__).parent / "data"

#: Rows in each file, so that progress can be told before they are read.
ROWS = {"airlines": 16, "airports": 1_458, "planes": 3_322, "flights": 336_776, "weather": 26_115}

Row = dict[str, str]


def read(name: str) -> Iterator[Row]:
    """The rows of one file, by column name."""
    with lzma.open(DATA / f"{name}.csv.xz") as binary, TextIOWrapper(binary, encoding="utf-8", newline="") as text:
        yield from csv.DictReader(text)


def airlines() -> Iterator[Airline]:
    for row in read("airlines"):
        yield Airline(carrier=row["carrier"], name=row["name"])


def airports() -> Iterator[Airport]:
    for row in read("airports"):
        yield Airport(
            faa=row["faa"],
            name=row["name"],
            latitude=float(row["lat"]),
            longitude=float(row["lon"]),
            altitude=int(row["alt"]),
            utc_offset=float(row["tz"]),
            daylight_saving=row["dst"],
            time_zone=_known(row["tzone"]),
        )


def planes() -> Iterator[Plane]:
    for row in read("planes"):
        yield Plane(
            tailnum=row["tailnum"],
            year=_integer(row["year"]),
            type=row["type"],
            manufacturer=row["manufacturer"],
            model=row["model"],
            engines=int(row["engines"]),
            seats=int(row["seats"]),
            speed=_integer(row["speed"]),
            engine=row["engine"],
        )


def flights(known_planes: Collection[str], known_airports: Collection[str]) -> Iterator[Flight]:
    """The flights, with keys only to the planes and airports that exist."""
    for row in read("flights"):
        tailnum, destination = _known(row["tailnum"]), row["dest"]
        yield Flight(
            airline_id=row["carrier"],
            number=int(row["flight"]),
            origin_id=row["origin"],
            destination_id=destination if destination in known_airports else None,
            destination_code=destination,
            plane_id=tailnum if tailnum in known_planes else None,
            tailnum=tailnum,
            time_hour=_moment(row["time_hour"]),
            day=datetime.date(int(row["year"]), int(row["month"]), int(row["day"])),
            scheduled_departure=clock_minutes(row["sched_dep_time"]),
            departure=_clock(row["dep_time"]),
            departure_delay=_integer(row["dep_delay"]),
            scheduled_arrival=clock_minutes(row["sched_arr_time"]),
            arrival=_clock(row["arr_time"]),
            arrival_delay=_integer(row["arr_delay"]),
            air_time=_integer(row["air_time"]),
            distance=int(row["distance"]),
        )


def weather() -> Iterator[Weather]:
    for row in read("weather"):
        yield Weather(
            origin_id=row["origin"],
            time_hour=_moment(row["time_hour"]),
            temperature=_number(row["temp"]),
            dew_point=_number(row["dewp"]),
            humidity=_number(row["humid"]),
            wind_direction=_integer(row["wind_dir"]),
            wind_speed=_number(row["wind_speed"]),
            wind_gust=_number(row["wind_gust"]),
            precipitation=_number(row["precip"]),
            pressure=_number(row["pressure"]),
            visibility=_number(row["visib"]),
        )


def clock_minutes(clock: str) -> int:
    """Minutes after midnight of a clock time written as a number: ``"517"`` is 05:17, ``"2400"`` is 24:00.

    Raises:
        ValueError: no such time.
    """
    hours, minutes = divmod(int(clock), 100)
    if minutes >= 60 or hours * 60 + minutes > 24 * 60:
        raise ValueError(f"{clock!r} is no clock time.")
    return hours * 60 + minutes


def _known(text: str) -> str | None:
    return None if text in ("", "NA") else text


def _integer(text: str) -> int | None:
    return None if _known(text) is None else int(text)


def _number(text: str) -> float | None:
    return None if _known(text) is None else float(text)


def _clock(text: str) -> int | None:
    return None if _known(text) is None else clock_minutes(text)


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
