"""The test project itself: its demo and its admin."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.test import override_settings

from testproject.flights.demo.steps import CHAPTERS
from testproject.flights.models import Airline, Airport, Flight, Plane

pytestmark = pytest.mark.django_db


def test_the_demo_on_some_of_the_data(capsys):
    call_command("demo", limit=500, keep_database=True)

    report = capsys.readouterr().out
    assert all(f"\n{title} " in report for _, steps in CHAPTERS for title, _, _ in steps)
    assert "expected=2 actual=3" in report
    assert "EmptyPredicate" in report
    assert Flight.objects.count() == 500


def test_the_demo_as_json(capsys):
    call_command("demo", limit=50, json=True, keep_database=True)

    steps = json.loads(capsys.readouterr().out)
    assert [step["title"] for step in steps[:2]] == ["airlines: 16 rows", "airports: 1,458 rows"]
    assert all(step.keys() == {"title", "call", "lines", "statements", "seconds"} for step in steps)


@override_settings(ROOT_URLCONF="testproject.urls")
def test_the_admin_shows_every_model(admin_client):
    airline = Airline.objects.add(Airline(carrier="UA", name="United"))
    airport = Airport.objects.add(
        Airport(faa="EWR", name="Newark", latitude=1, longitude=2, altitude=3, utc_offset=-5, daylight_saving="A")
    )
    plane = Plane.objects.add(
        Plane(tailnum="N1", type="x", manufacturer="BOEING", model="7", engines=2, seats=100, engine="y")
    )
    Flight.objects.add(
        Flight(
            airline=airline,
            number=1,
            origin=airport,
            destination_code="XXX",
            plane=plane,
            tailnum="N1",
            time_hour="2013-01-01T10:00:00Z",
            day="2013-01-01",
            scheduled_departure=300,
            scheduled_arrival=400,
            distance=10,
        )
    )

    for name in ("airline", "airport", "plane", "flight", "weather"):
        assert admin_client.get(f"/admin/flights/{name}/").status_code == 200
        assert admin_client.get(f"/admin/flights/{name}/add/").status_code == 200
    assert admin_client.get("/admin/flights/plane/N1/change/").status_code == 200
    assert "N1" in admin_client.get("/admin/flights/plane/?q=boeing").content.decode()
    assert admin_client.get("/admin/catalog/product/").status_code == 200
