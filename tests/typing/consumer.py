"""What a user's editor and type checker must know. Checked by mypy and basedpyright, never run."""

from __future__ import annotations

import datetime
from typing import Any, assert_type

from django.db import models

from django_enterprise_repo import (
    AuditTrail,
    BreakerPolicy,
    DeletionResult,
    FilterField,
    FilterPolicy,
    Page,
    PaginationRequest,
    Repository,
    RetentionPolicy,
    RetryPolicy,
    SoftDeleteModel,
    VersionedModel,
    deadline,
    operation_context,
    verify_commit,
)
from django_enterprise_repo.exceptions import CommitOutcomeUnknown, DuplicateKeyError, InvalidFilter, StaleObjectError


class ProductRepository(Repository["Product"]):
    filters = FilterPolicy(fields=("name", "price", FilterField("color", path="metadata__color", type=str)))
    retry = RetryPolicy(attempts=5, deadline=2.0)
    breaker = BreakerPolicy(fail_max=3)


class Product(SoftDeleteModel, VersionedModel):
    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    metadata = models.JSONField(default=dict)

    objects = ProductRepository()
    history = AuditTrail()

    class Meta(SoftDeleteModel.Meta, VersionedModel.Meta):
        app_label = "consumer"


repository: Repository[Product] = Product.objects


def reads(request: PaginationRequest) -> None:
    assert_type(repository.get(1), Product)
    assert_type(repository.get(1, for_update=True, load=("category",)), Product)
    assert_type(repository.get_or_none(1), Product | None)
    assert_type(repository.get_many([1, 2]), dict[Any, Product])
    assert_type(repository.get_by({"price": {"gt": 100}}, name="x"), Product | None)
    assert_type(repository.list({"price": {"gt": 100}}, ["price:desc"]), list[Product])
    assert_type(repository.list({"price": {"gt": 100}}, pagination=request), Page[Product])
    assert_type(repository.count({"price": 1}), int)
    assert_type(repository.exists(name="x"), bool)
    for product in repository.stream():
        assert_type(product, Product)
    assert_type(repository.where({"price": 1}).get(1), Product)
    assert_type(repository.with_deleted().list(), list[Product])
    page = repository.list(pagination=request)
    assert_type(page[0], Product)
    assert_type(page.total_count, int | None)
    assert_type(page.next, PaginationRequest | None)


def writes(product: Product) -> None:
    assert_type(repository.add(product, reason="x"), Product)
    assert_type(repository.update(product, price="9.99", expected_version=3), Product)
    assert_type(repository.update(product, {"price": "9.99"}), Product)
    assert_type(repository.delete(product, hard=True), DeletionResult)
    assert_type(repository.restore(5), DeletionResult)
    assert_type(repository.add_all([product], batch_size=100), list[Product])
    assert_type(repository.update_all({"price": 1}, price=2), int)
    assert_type(repository.delete_all({"price": 1}), int)
    assert_type(repository.restore_all({"price": 1}), int)
    assert_type(repository.commit_and_refresh(product), Product)
    assert_type(product.delete(), DeletionResult)
    with operation_context(reason="x", correlation_id="y"):
        product.save()


def past(product: Product, moment: datetime.datetime) -> None:
    for then in repository.as_of(moment):
        assert_type(then, Product)
    for difference in repository.diff(1, 5):
        assert_type(difference.field, str)
    assert_type(repository.revert_to(1, 5, reason="x"), Product)
    policy = RetentionPolicy(history=datetime.timedelta(days=365))
    assert_type(policy.keep_versions, int)


@operation_context(reason="nightly")
def nightly(number: int) -> str:
    return str(number)


async def asynchronous(product: Product, request: PaginationRequest) -> None:
    assert_type(await repository.aget(1), Product)
    assert_type(await repository.alist(), list[Product])
    assert_type(await repository.alist(pagination=request), Page[Product])
    assert_type(await repository.aadd(product), Product)
    async for found in repository.astream():
        assert_type(found, Product)


def decorated() -> None:
    assert_type(nightly(5), str)
    assert_type(transfer(5, reason="x"), str)
    assert_type(repository.atomic(deadline=2.0, verify_commit=True).run(nightly, 5), str)


@repository.atomic(retries=3)
def transfer(number: int, *, reason: str) -> str:
    return f"{number} {reason}"


def errors(
    problem: InvalidFilter, stale: StaleObjectError, taken: DuplicateKeyError, unknown: CommitOutcomeUnknown
) -> None:
    assert_type(taken.fields, tuple[str, ...])
    assert_type(taken.constraint, str | None)
    with deadline(0.5):
        print(verify_commit(unknown) == "committed")
    assert_type(problem.problems[0].path, tuple[str | int, ...])
    assert_type(stale.expected, int | None)
