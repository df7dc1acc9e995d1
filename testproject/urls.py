from django.contrib import admin
from django.urls import include, path

from django_enterprise_repo.observability.views import metrics

urlpatterns = [
    path("admin/", admin.site.urls),
    path("metrics", metrics),
    path("", include("django_enterprise_repo.urls")),
]
