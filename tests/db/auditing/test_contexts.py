"""Blocks that attribute: nested, async, decorating, across threads, in commands."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.management import BaseCommand, call_command
from django.db import connections
from django.utils.functional import SimpleLazyObject

from django_enterprise_repo import current_context, operation_context
from django_enterprise_repo.exceptions import InvalidArgumentType
from tests.db.auditing.views import told
from tests.testapp.models import Account

pytestmark = pytest.mark.django_db
in_autocommit = pytest.mark.django_db(transaction=True)


def test_a_block_attributes_what_is_inside_and_nested_ones_what_they_say(ada, bob):
    with operation_context(user=ada, reason="outer", correlation_id="req-1"):
        Account.objects.add(Account(name="a"))
        with operation_context(reason="inner"):
            Account.objects.add(Account(name="b"))
            with operation_context(user=bob):
                Account.objects.add(Account(name="c"))
                Account.objects.add(Account(name="d"), reason="the verb's own")
        Account.objects.add(Account(name="e"))
    Account.objects.add(Account(name="f"))

    assert told() == [
        ("ada", "outer", "req-1"),
        ("ada", "inner", "req-1"),
        ("bob", "inner", "req-1"),
        ("bob", "the verb's own", "req-1"),
        ("ada", "outer", "req-1"),
        (None, None, None),
    ]


def test_an_async_block(ada):
    async def scenario():
        async with operation_context(user=ada, reason="outer"):
            await Account.objects.aadd(Account(name="a"))
            async with operation_context(reason="inner"):
                await sync_to_async(Account(name="b").save)()
        await Account.objects.aadd(Account(name="c"))

    async_to_sync(scenario)()

    assert told() == [("ada", "outer", None), ("ada", "inner", None), (None, None, None)]


def test_a_block_that_fails_ends_too(ada):
    with pytest.raises(LookupError), operation_context(user=ada):
        raise LookupError
    assert current_context().user is None


def test_a_decorated_function(ada):
    @operation_context(reason="import")
    def add(name, depth=0):
        """Adds."""
        if depth:
            add(name + "x", depth - 1)
        with operation_context(user=ada):
            return Account.objects.add(Account(name=name))

    account = add("a", depth=2)

    assert (add.__name__, add.__doc__, account.name) == ("add", "Adds.", "a")
    assert told() == [("ada", "import", None)] * 3
    assert current_context().reason is None


def test_a_decorated_coroutine_may_run_many_times_at_once(ada, bob):
    @operation_context(reason="import")
    async def add(user, name):
        async with operation_context(user=user):
            await asyncio.sleep(0)
            await Account.objects.aadd(Account(name=name))
            await asyncio.sleep(0)
            return current_context().reason

    async def scenario():
        return await asyncio.gather(*(add((ada, bob)[n % 2], f"{('ada', 'bob')[n % 2]} {n}") for n in range(10)))

    assert async_to_sync(scenario)() == ["import"] * 10
    assert [told(name=account.name) for account in Account.objects.all()] == [
        [(account.name.split()[0], "import", None)] for account in Account.objects.all()
    ]


def test_one_block_may_be_entered_many_times_at_once(ada):
    block = operation_context(user=ada, correlation_id="req-1")

    async def add(name):
        async with block, operation_context(reason=name):
            await asyncio.sleep(0)
            with block:
                await Account.objects.aadd(Account(name=name))
            await asyncio.sleep(0)
        assert current_context().user is None

    async def scenario():
        await asyncio.gather(*map(add, "abcdef"))

    async_to_sync(scenario)()

    assert sorted(told()) == [("ada", name, "req-1") for name in "abcdef"]


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_a_generator_is_not_decorated_as_its_body_would_run_after_the_block(kind):
    def steps():
        yield

    async def async_steps():
        yield

    with pytest.raises(InvalidArgumentType, match="generators"):
        operation_context(reason="x")(steps if kind == "generator" else async_steps)


def test_a_generator_left_off_inside_a_block_does_not_keep_it_open(ada, bob):
    def steps():
        with operation_context(user=bob):
            yield

    left_off = steps()
    with operation_context(user=ada):
        next(left_off)
    assert current_context().user is None
    left_off.close()
    assert current_context().user is None


def test_a_block_may_be_opened_and_closed_on_different_hops_to_the_thread(ada):
    """As a middleware with ``process_request`` and ``process_response`` does under an async handler."""
    inner = operation_context(user=ada)

    def explode():
        raise AssertionError("nobody asked for this user")

    async def scenario():
        async with operation_context(user=SimpleLazyObject(explode)):
            await sync_to_async(inner.__enter__)()
            await Account.objects.aadd(Account(name="a"))
            await sync_to_async(inner.__exit__)(None, None, None)
            assert current_context().user is not ada
        assert current_context().user is None

    async_to_sync(scenario)()

    assert told() == [("ada", None, None)]


# Threads.


def in_thread(call: Any) -> None:
    def work():
        try:
            call()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)  # pytest makes a test fail for an error in a thread
    thread.start()
    thread.join()


@in_autocommit
def test_a_new_thread_starts_without_a_context_and_may_be_handed_one(ada):
    def add(name):
        Account.objects.add(Account(name=name))

    with operation_context(user=ada, reason="import", correlation_id="req-1"):
        in_thread(lambda: add("alone"))

        outer = current_context()

        def with_context():
            with operation_context(outer, reason="in a thread"):
                add("handed on")

        in_thread(with_context)
        copied = contextvars.copy_context()
        in_thread(lambda: copied.run(add, "copied"))
        assert current_context() is outer

    assert told() == [(None, None, None), ("ada", "in a thread", "req-1"), ("ada", "import", "req-1")]


@in_autocommit
def test_threads_may_share_a_block(ada):
    block = operation_context(user=ada, correlation_id="req-1")
    together = threading.Barrier(4)

    def add(name):
        try:
            with block:
                together.wait(10)
                Account.objects.add(Account(name=name), reason=name)
                together.wait(10)
            return current_context().user
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(add, "abcd")) == [None] * 4

    assert sorted(told()) == [("ada", name, "req-1") for name in "abcd"]


# Commands.


class Import(BaseCommand):
    @operation_context(user_id="ada", reason="nightly import")
    def handle(self, *args: Any, **options: Any) -> None:
        Account.objects.add_all([Account(name=name) for name in "ab"])


def test_a_management_command(ada):
    with operation_context(correlation_id="job-7"):
        call_command(Import())
    Account.objects.filter(name="a").update(size=1)

    assert told() == [("ada", "nightly import", "job-7")] * 2 + [(None, None, None)]
