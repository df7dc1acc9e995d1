"""What a project includes: ``path("", include("django_enterprise_repo.urls"))``."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("health/", include("django_enterprise_repo.health.urls")),
]
