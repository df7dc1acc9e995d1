"""Every way from Django code to the database, as something that can be done while the database fails.

Each path takes a function that it calls at the moment when the fault is to begin: what comes before it is
preparation, what comes after it is the access that the path is named for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from typing import NamedTuple
from uuid import uuid4

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, transaction
from django.db.models import Max, prefetch_related_objects

from tests.testapp.models import Bare, Category, Item, Plain, Tag

Fault = Callable[[], None]


class AccessPath(NamedTuple):
    """One way to the database.

    Attributes:
        group: the kind of access, a heading of the table.
        title: what the table calls it.
        act: prepares, calls the fault, and does it.
        vendors: the databases that have it.
    """

    group: str
    title: str
    act: Callable[[Fault], object]
    vendors: tuple[str, ...] = ("sqlite", "postgresql", "mysql")


PATHS: list[AccessPath] = []

READS = "Reads of a repository"
WRITES = "Writes of a repository"
INSTANCES = "Instances of a `RepositoryModel`"
PLAIN = "Plain models, and Django itself"
SQL = "SQL by hand"
CONNECTIONS = "Connections"
TRANSACTIONS = "Within a transaction"


def path(group: str, title: str, **limits: tuple[str, ...]) -> Callable[[Callable[[Fault], object]], None]:
    return lambda act: PATHS.append(AccessPath(group, title, act, **limits))


def name() -> str:
    return uuid4().hex[:12]


def bare() -> Bare:
    return Bare.objects.create(name=name())


def plain() -> Plain:
    row = Plain(name=name())
    row.save()
    return row


def item() -> Item:
    return Item.objects.create(name=name(), category=Category.objects.create(name=name()))


# Reads of a repository.


def reading(title: str, read: Callable[[Bare], object]) -> None:
    def act(fault: Fault) -> object:
        row = bare()
        fault()
        return read(row)

    path(READS, title)(act)


reading("`list()`", lambda row: Bare.objects.list({"name": row.name}))
reading("`get()`", lambda row: Bare.objects.get(row.pk))
reading("`first()`", lambda row: Bare.objects.first())
reading("`count()`", lambda row: Bare.objects.count())
reading("`exists()`", lambda row: Bare.objects.filter(name=row.name).exists())
reading("`aggregate()`", lambda row: Bare.objects.aggregate(Max("size")))
reading("`in_bulk()`", lambda row: Bare.objects.in_bulk([row.pk]))
reading("`aget()`", lambda row: async_to_sync(Bare.objects.aget)(pk=row.pk))


@path(READS, "a lazy queryset, evaluated later")
def lazy_queryset(fault):
    rows = Bare.objects.filter(name=bare().name)
    fault()
    return list(rows)


@path(READS, "`async for` over a queryset")
def async_for(fault):
    async def read():
        return [row async for row in Bare.objects.all()]

    bare()
    fault()
    return async_to_sync(read)()


@path(READS, "`iterator()`, first chunk")
def iterator_first_chunk(fault):
    bare()
    with closing(Bare.objects.iterator(chunk_size=1)) as rows:
        fault()
        return next(rows)


@path(READS, "`iterator()`, later chunks")
def iterator_later_chunk(fault):
    bare(), bare(), bare()
    with closing(Bare.objects.iterator(chunk_size=1)) as rows:
        next(rows)
        fault()
        return list(rows)


@path(READS, "`aiterator()`, first chunk")
def aiterator_first_chunk(fault):
    async def read():
        return await anext(Bare.objects.aiterator(chunk_size=1))

    bare()
    fault()
    return async_to_sync(read)()


@path(READS, "`aiterator()`, later chunks")
def aiterator_later_chunk(fault):
    async def read():
        rows = Bare.objects.aiterator(chunk_size=1)
        await anext(rows)
        await sync_to_async(fault)()
        return [row async for row in rows]

    bare(), bare(), bare()
    return async_to_sync(read)()


# Writes of a repository.


def writing(title: str, write: Callable[[Bare], object]) -> None:
    def act(fault: Fault) -> object:
        row = bare()
        fault()
        return write(row)

    path(WRITES, title)(act)


writing("`add()`, `create()`", lambda row: Bare.objects.create(name=name()))
writing("`get_or_create()`", lambda row: Bare.objects.get_or_create(name=name()))
# Two statements: Django 6.1 sends a single one without a transaction.
writing("`bulk_create()`", lambda row: Bare.objects.bulk_create([Bare(name=name()), Bare(name=name())], batch_size=1))
writing("`update_all()`, `filter().update()`", lambda row: Bare.objects.filter(pk=row.pk).update(size=1))
writing("`filter().delete()`", lambda row: Bare.objects.filter(pk=row.pk).delete())


@path(WRITES, "`repository.atomic(retries=2)`, its beginning")
def unit_of_work_begin(fault):
    bare()
    fault()
    return Bare.objects.atomic(retries=2).run(bare)


@path(WRITES, "`repository.atomic(retries=2)`, a statement in it")
def unit_of_work(fault):
    def work():
        fault()
        return Bare.objects.create(name=name())

    return Bare.objects.atomic(retries=2).run(work)


@path(WRITES, "`repository.atomic(retries=2)`, its COMMIT")
def unit_of_work_commit(fault):
    def work():
        bare()
        fault()

    return Bare.objects.atomic(retries=2).run(work)


# Instances of a RepositoryModel.


def using(group: str, title: str, make: Callable[[], object], use: Callable[..., object]) -> None:
    def act(fault: Fault) -> object:
        made = make()
        fault()
        return use(made)

    path(group, title)(act)


def relations() -> tuple[Item, Tag]:
    return item(), Tag.objects.create(label=name())


using(INSTANCES, "`save()`, an insert", lambda: Bare(name=name()), lambda row: row.save())
using(INSTANCES, "`save()`, an update", bare, lambda row: row.save())
using(INSTANCES, "`delete()`", bare, lambda row: row.delete())
using(INSTANCES, "`refresh_from_db()`", bare, lambda row: row.refresh_from_db())
using(INSTANCES, "`full_clean()`, its unique check", lambda: Bare(name=name()), lambda row: row.full_clean())
using(INSTANCES, "a deferred attribute", lambda: Bare.objects.defer("size").get(pk=bare().pk), lambda row: row.size)
using(INSTANCES, "a foreign key", lambda: Item.objects.get(pk=item().pk), lambda row: row.category)
using(INSTANCES, "a reverse foreign key", lambda: item().category, lambda row: list(row.items.all()))
using(INSTANCES, "a many-to-many relation", item, lambda row: list(row.tags.all()))
using(INSTANCES, "`add()` to a many-to-many relation", relations, lambda made: made[0].tags.add(made[1]))
using(INSTANCES, "a prefetch", lambda: item().category, lambda row: prefetch_related_objects([row], "items"))


# Plain models, and Django itself.


def permission() -> Permission:
    made = ContentType.objects.create(app_label=name(), model=name())
    return Permission.objects.get(pk=Permission.objects.create(name=name(), codename=name(), content_type=made).pk)


def session() -> SessionStore:
    store = SessionStore()
    store["a"] = 1
    store.save()
    return SessionStore(store.session_key)


using(PLAIN, "`save()`, an insert, with a repository as manager", lambda: Plain(name=name()), lambda row: row.save())
using(PLAIN, "`save()`, an update, with a repository as manager", plain, lambda row: row.save())
using(PLAIN, "`delete()`, with a repository as manager", plain, lambda row: row.delete())
using(PLAIN, "`refresh_from_db()`, with a repository as manager", plain, lambda row: row.refresh_from_db())
using(PLAIN, "a foreign key", permission, lambda row: row.content_type)
using(PLAIN, "a queryset of a plain manager", lambda: Permission.objects.all()[:1], list)
using(PLAIN, "who is logged in", lambda: get_user_model(), lambda users: users.objects.filter(pk=1).first())
using(PLAIN, "loading a session", session, lambda store: store.load())
using(PLAIN, "saving a session", session, lambda store: store.save())


# SQL by hand.


def execute(sql: str = "SELECT 1") -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@path(SQL, "`raw()`")
def raw(fault):
    rows = Bare.objects.raw(f"SELECT * FROM {Bare._meta.db_table}")
    fault()
    return list(rows)


@path(SQL, "`connection.cursor()`")
def cursor(fault):
    execute()
    fault()
    execute()


@path(SQL, "a cursor of the driver's own connection")
def driver_cursor(fault):
    connection.ensure_connection()
    opened = connection.connection.cursor()
    fault()
    opened.execute("SELECT 1")


@path(SQL, "COPY through psycopg", vendors=("postgresql",))
def driver_copy(fault):
    connection.ensure_connection()
    opened = connection.connection.cursor()
    fault()
    with opened.copy(f"COPY {Plain._meta.db_table} (name) FROM STDIN") as rows:
        rows.write_row([name()])


# Connections.


@path(CONNECTIONS, "connecting for a repository")
def connect_for_repository(fault):
    connection.close()
    fault()
    return Bare.objects.count()


@path(CONNECTIONS, "connecting for anything else")
def connect(fault):
    connection.close()
    fault()
    connection.ensure_connection()


# Transactions.


@path(TRANSACTIONS, "beginning `transaction.atomic()`")
def begin(fault):
    execute()
    fault()
    with transaction.atomic():
        execute()


def within(title: str, act: Callable[[], object]) -> None:
    def in_transaction(fault: Fault) -> None:
        with transaction.atomic():
            bare()
            fault()
            act()

    path(TRANSACTIONS, title)(in_transaction)


def savepoint() -> None:
    with transaction.atomic():
        pass


within("a read of a repository", lambda: Bare.objects.count())
within("a write of a repository", lambda: Bare.objects.create(name=name()))
within("`connection.cursor()`", execute)
within("SAVEPOINT", savepoint)
within("COMMIT of `transaction.atomic()`", lambda: None)


@path(TRANSACTIONS, "ROLLBACK of `transaction.atomic()`")
def rollback(fault):
    with suppress(LookupError), transaction.atomic():
        bare()
        fault()
        raise LookupError  # the caller's own error, which is what should come out
