"""An order that a policy gives by itself is the project's mistake when it does not fit, not the client's."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.test.utils import isolate_apps

from django_enterprise_repo import FilterField, FilterPolicy, Repository, checks
from django_enterprise_repo.exceptions import InvalidOrdering
from django_enterprise_repo.filtering import compile_ordering
from testproject.shop.models import Product

FIELDS = ("name", FilterField("stock", order=False), FilterField("color", path="metadata__color", type=str))

misfits = pytest.mark.parametrize(
    "policy",
    [
        FilterPolicy(ordering=("colour",)),
        FilterPolicy(ordering=("-name",)),
        FilterPolicy(ordering=("name:down",)),
        FilterPolicy(ordering=("name", "name:desc")),
        FilterPolicy(ordering=("name", "id"), max_order=1),
        FilterPolicy(fields=FIELDS, ordering=("price",)),
        FilterPolicy(fields=FIELDS, ordering=("stock",)),
        FilterPolicy(fields=FIELDS, ordering=("color",)),
    ],
    ids=lambda policy: ",".join(policy.ordering),
)


@misfits
def test_a_misfit_is_a_wrong_configuration_at_run_time(monkeypatch, policy):
    monkeypatch.setattr(type(Product.objects), "filters", policy)

    for nothing in (None, []):
        with pytest.raises(ImproperlyConfigured, match=r"shop\.Product: FilterPolicy\.ordering"):
            Product.objects.list(order_by=nothing)


@misfits
def test_a_misfit_is_reported_by_the_check(monkeypatch, policy):
    with isolate_apps("tests.testapp") as registry:
        monkeypatch.setattr(checks, "apps", registry)

        class Thing(models.Model):
            name = models.CharField(max_length=5)
            stock = models.IntegerField()
            metadata = models.JSONField()
            objects = Repository.configured(filters=policy)()

            class Meta:
                app_label = "testapp"

        (message,) = checks.check_repositories()

    assert message.id == "enterprise_repo.E004"
    assert "FilterPolicy.ordering" in message.msg


def test_an_order_that_a_client_asks_for_stays_the_clients():
    policy = FilterPolicy(fields=FIELDS, ordering=("price",))

    with pytest.raises(InvalidOrdering):
        compile_ordering(Product, policy, ["price"])
    assert compile_ordering(Product, policy, ["name:desc"]).expressions() == ("-name", "pk")


def test_an_order_that_fits_is_used():
    policy = FilterPolicy(fields=FIELDS, ordering=("name:desc",))

    assert compile_ordering(Product, policy, None).expressions() == ("-name", "pk")
