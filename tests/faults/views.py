"""A small application, written in the ordinary way: nothing in it knows that databases fail."""

from __future__ import annotations

from typing import Any

from django.db.models import Sum
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from tests.testapp.models import Account, Entry


@require_POST
def add_entry(request: HttpRequest, text: str) -> JsonResponse:
    entry = Entry.objects.add(Entry(text=text))
    return JsonResponse({"id": entry.pk}, status=201)


@require_GET
def count_entries(request: HttpRequest, text: str) -> JsonResponse:
    recorded: Any = Entry.history
    return JsonResponse({"rows": Entry.objects.count({"text": text}), "history": recorded.filter(text=text).count()})


@require_POST
@Account.objects.atomic(retries=3)
def transfer(request: HttpRequest, source: int, target: int) -> JsonResponse:
    accounts = {pk: Account.objects.get(pk, for_update=True) for pk in sorted((source, target))}
    Account.objects.update(accounts[source], size=accounts[source].size - 1)
    Account.objects.update(accounts[target], size=accounts[target].size + 1)
    return JsonResponse({"moved": 1})


@require_GET
def total(request: HttpRequest) -> JsonResponse:
    return JsonResponse(Account.objects.aggregate(total=Sum("size")))


urlpatterns = [
    path("entries/<str:text>/add", add_entry),
    path("entries/<str:text>", count_entries),
    path("transfers/<int:source>/<int:target>", transfer),
    path("total", total),
]
