"""An admin site of its own, so that the tests see nothing but what they registered."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from simple_history.admin import SimpleHistoryAdmin

from django_enterprise_repo.admin import RepositoryAdmin

from .models import Account, Author, Bare, Book, Category, Item

site = AdminSite(name="admin")


class ItemAdmin(RepositoryAdmin):
    list_display = ("name", "stock")
    fields = ("name", "stock", "price", "category")


site.register(Item, ItemAdmin)
site.register([Author, Bare, Book, Category], RepositoryAdmin)


class AccountAdmin(SimpleHistoryAdmin, RepositoryAdmin):
    """simple-history's admin beside ours."""


site.register(Account, AccountAdmin)
