"""Views that write, and what they leave in the histories."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from django_enterprise_repo import current_context, operation_context
from tests.testapp.models import Account, Audited, Bare, Entry, Ledger


def told(model: Any = Account, **which: Any) -> list[tuple[Any, Any, Any]]:
    """User, reason and correlation id of each history row, in the order they were written."""
    return [
        (
            row.history_user and row.history_user.username,
            row.history_change_reason,
            getattr(row, "history_correlation_id", None),
        )
        for row in model.history.filter(**which).order_by("history_id").select_related("history_user")
    ]


def add(request):
    Account.objects.add(Account(name="a"), reason=request.GET.get("reason"))
    return HttpResponse()


async def aadd(request):
    await Account.objects.aadd(Account(name="a"), reason=request.GET.get("reason"))
    return HttpResponse()


def add_plain(request):
    Audited.objects.add(Audited(name="a"))
    Audited.objects.filter(name="a").update(size=1)
    return HttpResponse()


def authenticate(request):
    """As REST frameworks do: the view finds out who it is, after it has written already."""
    Account.objects.add(Account(name="before"))
    request.user = get_user_model().objects.get(username="bob")
    Account.objects.add(Account(name="after"))
    return HttpResponse()


def read(request):
    return HttpResponse(str(Account.objects.count()))


def write_unaudited(request):
    Bare.objects.add(Bare(name="a"))
    return HttpResponse()


def by_hand(request):
    """simple-history's own way of saying who, why and when."""
    moment = datetime.datetime(2001, 2, 3, tzinfo=datetime.UTC)
    carol = get_user_model().objects.get(username="carol")
    for model in (Account, Audited, Ledger):
        entity = model(**{"text" if model is Ledger else "name": "a"})
        entity._history_user, entity._change_reason, entity._history_date = carol, "by hand", moment
        model.objects.add(entity, reason="of the verb")
        entity.save()
        (model.objects.delete if model is Ledger else type(entity).hard_delete)(entity)
    several = [Entry(text="told"), Entry(text="untold")]
    several[0]._history_user, several[0]._change_reason, several[0]._history_date = carol, "by hand", moment
    Entry.objects.add_all(several)
    nobody = Account(name="b")
    nobody._history_user = None
    nobody.save()
    return HttpResponse()


def stream(request):
    def body():
        for name in "ab":
            Account.objects.add(Account(name=name))
            yield name
        with operation_context(reason="in the stream"):
            Account.objects.add(Account(name="c"))
            yield "c"
            Account.objects.filter(name="c").update(size=1)

    return StreamingHttpResponse(body())


async def astream(request):
    async def body():
        for name in "ab":
            await Account.objects.aadd(Account(name=name))
            yield name
        async with operation_context(reason="in the stream"):
            await Account.objects.aadd(Account(name="c"))
            yield "c"
            await Account.objects.filter(name="c").aupdate(size=1)

    return StreamingHttpResponse(body())


def busy(request):
    """Four changes of a row whose name says who makes them, with single and set verbs and a plain save."""
    name = request.GET["name"]
    with operation_context(reason=f"reason of {name}"):
        account = Account.objects.add(Account(name=name))
        Account.objects.filter(name=name).update(note="x")
        account.size = 2
        account.version += 1
        account.save()
        Account.objects.update_all({"name": name}, size=3)
    return HttpResponse(current_context().correlation_id)


async def abusy(request):
    """The same, giving way to others in between."""
    name = request.GET["name"]
    async with operation_context(reason=f"reason of {name}"):
        await asyncio.sleep(0.001)
        account = await Account.objects.aadd(Account(name=name))
        await asyncio.sleep(0)
        await Account.objects.filter(name=name).aupdate(note="x")
        await asyncio.sleep(0.002)
        account.size = 2
        account.version += 1
        await account.asave()
        await asyncio.sleep(0)
        await Account.objects.aupdate_all({"name": name}, size=3)
    return HttpResponse(current_context().correlation_id)


urlpatterns = [
    path("add", add),
    path("aadd", aadd),
    path("add_plain", add_plain),
    path("authenticate", authenticate),
    path("read", read),
    path("write_unaudited", write_unaudited),
    path("by_hand", by_hand),
    path("stream", stream),
    path("astream", astream),
    path("busy", busy),
    path("abusy", abusy),
]
