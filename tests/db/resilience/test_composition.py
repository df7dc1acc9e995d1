"""The mixin before engines of other packages: what they do goes on, and the guard sees everything."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction

from django_enterprise_repo.db import hooks
from django_enterprise_repo.exceptions import CircuitOpenError
from django_enterprise_repo.resilience.breakers import breaker
from tests.db.resilience.test_hooks import Recorder
from tests.faults.django_env import databases
from tests.testapp.models import Plain

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def composed(request):
    """The second test database, through another engine."""
    if connection.vendor != "postgresql":
        pytest.skip("the engines are PostgreSQL's")
    settings = {**connections["other"].settings_dict, "ENGINE": f"tests.engines.{request.param}", "TEST": {}}
    with databases({"other": settings}):
        yield connections["other"]


def _why_not(engine):
    if engine == "prometheus":
        return (
            None if find_spec("django_prometheus") else "django-prometheus is not installed: it caps Django below 6.1"
        )
    try:
        import django.contrib.gis.gdal  # noqa: F401
    except ImproperlyConfigured:
        return "GDAL is not installed (apt-get install gdal-bin)"
    return None


@pytest.mark.parametrize(
    "composed",
    [
        pytest.param(engine, marks=pytest.mark.skipif(bool(why := _why_not(engine)), reason=why or ""))
        for engine in ("prometheus", "postgis")
    ],
    indirect=True,
)
def test_an_engine_of_another_package_is_guarded(composed):
    recorder = Recorder()
    composed.ensure_connection()
    hooks.listen(recorder)
    try:
        with transaction.atomic(using="other"):
            Plain.objects.using("other").create(name="a")
    finally:
        hooks.ignore(recorder)
    assert recorder.heard == ["write", "before commit", "committed"]
    breaker("other").isolate()
    with pytest.raises(CircuitOpenError), composed.cursor() as cursor:
        cursor.execute("SELECT 1")
    breaker("other").release()


@pytest.mark.parametrize(
    "composed",
    [pytest.param("prometheus", marks=pytest.mark.skipif(bool(_why_not("prometheus")), reason="see above"))],
    indirect=True,
)
def test_django_prometheus_goes_on_counting(composed):
    from prometheus_client import REGISTRY

    def count():
        labels = {"alias": "other", "vendor": "postgresql"}
        return REGISTRY.get_sample_value("django_db_execute_total", labels) or 0

    composed.ensure_connection()  # which sends something, too
    before = count()
    Plain.objects.using("other").count()
    assert count() == before + 1


@pytest.mark.parametrize(
    "composed",
    [pytest.param("postgis", marks=pytest.mark.skipif(bool(_why_not("postgis")), reason="see above"))],
    indirect=True,
)
def test_postgis_goes_on_knowing_shapes(composed):
    composed.prepare_database()
    with composed.cursor() as cursor:
        cursor.execute("SELECT ST_AsText(ST_Point(1, 2))")
        assert cursor.fetchone() == ("POINT(1 2)",)
