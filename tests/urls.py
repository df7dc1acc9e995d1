from django.urls import path

from tests.testapp.admin import site

urlpatterns = [
    path("admin/", site.urls),
]
