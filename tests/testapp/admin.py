"""An admin site of its own, so that the tests see nothing but what they registered."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from simple_history.admin import SimpleHistoryAdmin

from django_enterprise_repo.admin import RepositoryAdmin

from .models import Account, Author, Bare, Book, Category, Comment, Item, Loud, Plain

site = AdminSite(name="admin")


class ItemAdmin(RepositoryAdmin):
    list_display = ("name", "stock")
    list_editable = ("stock",)
    fields = ("name", "stock", "price", "category")


class AuthorAdmin(RepositoryAdmin):
    search_fields = ("name",)
    ordering = ("name",)


class BookAdmin(RepositoryAdmin):
    autocomplete_fields = ("author",)


class AccountAdmin(SimpleHistoryAdmin, RepositoryAdmin):
    """simple-history's admin beside ours."""


site.register(Account, AccountAdmin)
site.register(Item, ItemAdmin)
site.register(Author, AuthorAdmin)
site.register(Book, BookAdmin)
site.register([Bare, Category, Comment, Loud, Plain], RepositoryAdmin)
