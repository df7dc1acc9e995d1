"""Django gets to know databases for a while, through a proxy or not, and forgets them."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError, connections, transaction
from django.db.utils import ConnectionDoesNotExist

from tests.faults import django_env
from tests.faults.history import connections_return
from tests.testapp.models import Bare, Category, Item, Tag


def test_models_live_on_the_alias_and_nowhere_else(faulty, cluster, database):
    django_env.create_tables(faulty, Item)
    tag = Tag.objects.using(faulty).create(label="new")
    item = Item.objects.using(faulty).create(
        name="chair", category=Category.objects.using(faulty).create(name="furniture")
    )
    item.tags.add(tag)

    assert cluster.execute("SELECT name FROM testapp_item", database=database) == [("chair",)]
    assert Item.objects.using(faulty).filter(tags__label="new", category__name="furniture").count() == 1


def test_the_settings_are_complete(faulty):
    assert set(connections[faulty].settings_dict) >= set(connections["default"].settings_dict)
    assert connections[faulty].settings_dict["CONN_MAX_AGE"] == 0


def test_django_meets_a_lost_commit(faulty, proxy, cluster, database):
    django_env.create_tables(faulty, Bare)

    with pytest.raises(OperationalError), transaction.atomic(using=faulty):
        Bare.objects.using(faulty).create(name="ambiguous")
        proxy.cut_at_commit("after")

    assert proxy.cuts == 1
    assert cluster.execute("SELECT name FROM testapp_bare", database=database) == [("ambiguous",)]


def test_the_end_closes_the_connections_of_every_thread_and_forgets_the_alias(databases, cluster, database):
    with databases({"faulty": django_env.postgres(database, cluster.port, application_name="django")}):
        threads = [threading.Thread(target=lambda: connections["faulty"].ensure_connection()) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connections["faulty"].ensure_connection()
        assert len(cluster.backends("django")) == 3

    connections_return(cluster, "django")
    with pytest.raises(ConnectionDoesNotExist):
        connections["faulty"]
    assert "faulty" not in list(connections)


def test_an_open_transaction_does_not_hinder_the_end(databases, cluster, database):
    with databases({"faulty": django_env.postgres(database, cluster.port, application_name="django")}):
        connections["faulty"].set_autocommit(False)
        with connections["faulty"].cursor() as cursor:
            cursor.execute("SELECT 1")

    connections_return(cluster, "django")


def test_the_end_closes_pools(databases, cluster, database):
    pool = {"min_size": 1, "max_size": 2, "timeout": 5}
    with databases({"faulty": django_env.postgres(database, cluster.port, application_name="django", pool=pool)}):
        connections["faulty"].ensure_connection()
        assert cluster.backends("django")

    connections_return(cluster, "django")
    assert not [thread for thread in threading.enumerate() if "pool" in thread.name]


def test_a_known_alias_is_lent_and_given_back(databases, cluster, database):
    before, settings = connections["other"], connections.settings["other"]

    with databases({"other": django_env.postgres(database, cluster.port)}), connections["other"].cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == (database,)

    assert connections["other"] is before
    assert connections.settings["other"] is settings


def test_of_two_hosts_django_takes_the_one_that_can_write(databases, standby_pair):
    primary, standby = standby_pair
    with primary.database() as name:
        settings = django_env.postgres(name, standby.port, primary.port, target_session_attrs="read-write")
        with databases({"faulty": settings}):
            django_env.create_tables("faulty", Bare)
            standby.catch_up()
            primary.kill()
            connections["faulty"].close()
            standby.promote()

            Bare.objects.using("faulty").create(name="after the failover")

        assert standby.execute("SELECT name FROM testapp_bare", database=name) == [("after the failover",)]


def test_mariadb_behind_a_proxy(databases, mariadb, mariadb_proxy, mariadb_database):
    with databases({"faulty": django_env.mariadb(mariadb_database, mariadb_proxy.port)}):
        django_env.create_tables("faulty", Bare)
        with pytest.raises(OperationalError), transaction.atomic(using="faulty"):
            Bare.objects.using("faulty").create(name="ambiguous")
            mariadb_proxy.cut_at_commit("before")

        assert mariadb_proxy.cuts == 1
        assert mariadb.execute("SELECT name FROM testapp_bare", database=mariadb_database) == []
