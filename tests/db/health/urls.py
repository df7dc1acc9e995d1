from django.urls import include, path

urlpatterns = [path("", include("django_enterprise_repo.urls"))]
