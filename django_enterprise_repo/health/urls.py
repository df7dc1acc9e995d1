"""``live``, ``ready`` and the whole report."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "repository_health"
urlpatterns = [
    path("", views.full, name="full"),
    path("live", views.live, name="live"),
    path("ready", views.ready, name="ready"),
]
