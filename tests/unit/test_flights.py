"""The flights as they were recorded: what the models claim of them is so."""

from __future__ import annotations

from collections import Counter

import pytest

from testproject.flights import loading


def test_missing_keys_are_as_many_as_the_model_says():
    airports = {airport.faa for airport in loading.airports()}
    planes = {plane.tailnum for plane in loading.planes()}
    counts: Counter[str] = Counter()
    keys = set()
    for row in loading.read("flights"):
        counts["flights"] += 1
        counts["without plane"] += row["tailnum"] not in planes
        counts["without destination"] += row["dest"] not in airports
        counts["cancelled"] += row["dep_time"] == "NA"
        keys.add((row["carrier"], row["flight"], row["origin"], row["time_hour"]))

    assert counts == {
        "flights": 336_776,
        "without plane": 52_606,
        "without destination": 7_602,
        "cancelled": 8_255,
    }
    assert len(keys) == counts["flights"], "(carrier, flight, origin, time_hour) is unique"


@pytest.mark.parametrize("name", ["airlines", "airports", "planes", "weather"])
def test_progress_knows_how_many_rows_there_are(name):
    assert sum(1 for _ in loading.read(name)) == loading.ROWS[name]


def test_what_is_not_known_is_null():
    planes = list(loading.planes())
    airports = list(loading.airports())

    assert {plane.speed for plane in planes} >= {None, 90}
    assert any(plane.year is None for plane in planes)
    assert any(airport.time_zone is None for airport in airports)
    assert not any(plane.tailnum == "NA" for plane in planes)


def test_the_first_flight():
    flight = next(loading.flights({"N14228"}, {"IAH"}))

    assert (flight.airline_id, flight.number, flight.origin_id, flight.destination_id) == ("UA", 1545, "EWR", "IAH")
    assert flight.plane_id == flight.tailnum == "N14228"
    assert flight.time_hour.isoformat() == "2013-01-01T10:00:00+00:00"
    assert (flight.scheduled_departure, flight.departure, flight.departure_delay) == (315, 317, 2)


def test_a_code_without_a_row_is_kept_beside_an_empty_key():
    flight = next(loading.flights(set(), set()))

    assert (flight.plane_id, flight.tailnum, flight.destination_id) == (None, "N14228", None)
    assert flight.destination_code == "IAH"


@pytest.mark.parametrize(("clock", "minutes"), [("517", 317), ("5", 5), ("0", 0), ("2400", 1440), ("2359", 1439)])
def test_clock_times(clock, minutes):
    assert loading.clock_minutes(clock) == minutes


@pytest.mark.parametrize("clock", ["2401", "1260", "99", "-5", "NA", ""])
def test_what_is_no_clock_time(clock):
    with pytest.raises(ValueError, match=r"."):
        loading.clock_minutes(clock)
