"""Measures what guards which access path, on PostgreSQL, and writes it into the documentation."""

import os

import django
from django.conf import settings
from django.test.runner import DiscoverRunner

os.environ["REPO_DATABASE"] = "postgres"
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()
for database in settings.DATABASES.values():
    database["TEST"]["MIGRATE"] = False  # the models of the tests have no migrations

from tests.db.resilience import coverage  # noqa: E402 - it needs the models

runner = DiscoverRunner(verbosity=0, interactive=False)
databases = runner.setup_databases()
try:
    coverage.write()
finally:
    runner.teardown_databases(databases)
