"""A request reads a row by its key once, whichever way it is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import connections
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path

from django_enterprise_repo.caching.identity import current_map, identity_map
from django_enterprise_repo.middleware import IdentityMapMiddleware
from tests.testapp.models import Item

MIDDLEWARE = ["django_enterprise_repo.middleware.IdentityMapMiddleware"]

pytestmark = pytest.mark.django_db(transaction=True)


def sync_view(request):
    first, second = (Item.objects.get(request.GET["pk"]) for _ in range(2))
    return HttpResponse(str(first is second))


async def async_view(request):
    first, second = [await Item.objects.aget(request.GET["pk"]) for _ in range(2)]
    return HttpResponse(str(first is second))


def forgetful_view(request):
    before = id(current_map())
    with identity_map() as own:
        assert id(own) != before
    return HttpResponse(str(id(current_map()) == before))


def failing_view(request):
    raise LookupError


urlpatterns = [path("sync", sync_view), path("async", async_view), path("own", forgetful_view)]


@pytest.fixture
def item():
    return Item.objects.add(Item(name="a"))


def answer(view: Any, pk: Any = "") -> Any:
    request = RequestFactory().get("/", {"pk": pk})
    middleware: Any = IdentityMapMiddleware(view)
    assert iscoroutinefunction(middleware) == iscoroutinefunction(view)
    return asyncio.run(waited_for(middleware(request))) if iscoroutinefunction(view) else middleware(request)


async def waited_for(answer: Any) -> Any:
    try:
        return await answer
    finally:
        await sync_to_async(connections.close_all)()  # of the thread that asked the database


@pytest.mark.parametrize("view", [sync_view, async_view])
def test_a_row_is_one_object_within_a_request(view, item):
    assert answer(view, item.pk).content == b"True"
    assert current_map() is None


def test_without_it_a_row_is_read_twice(item):
    request = RequestFactory().get("/", {"pk": item.pk})

    assert sync_view(request).content == b"False"


def test_each_request_reads_anew(item):
    def view(request):
        return HttpResponse(str(Item.objects.get(item.pk).stock))

    assert answer(view).content == b"0"
    Item.objects.filter(pk=item.pk).update(stock=7)
    assert answer(view).content == b"7"


def test_the_map_ends_with_the_request_also_when_the_view_fails():
    with identity_map() as around:
        with pytest.raises(LookupError):
            answer(failing_view)
        assert current_map() is around


def test_a_streamed_body_has_no_map():
    def view(request):
        return StreamingHttpResponse(str(current_map()) for _ in range(2))

    assert b"".join(answer(view).streaming_content) == b"NoneNone"


@pytest.mark.parametrize("url", ["/sync", "/async"])
@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=MIDDLEWARE)
def test_in_a_project_it_holds_for_sync_and_async_servers(url, client, async_client, item):
    assert client.get(url, {"pk": item.pk}).content == b"True"
    assert asyncio.run(waited_for(async_client.get(url, {"pk": item.pk}))).content == b"True"


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=MIDDLEWARE * 2)
def test_twice_is_no_more_than_once(client):
    assert client.get("/own").content == b"True"
