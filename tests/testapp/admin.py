"""An admin site of its own, so that the tests see nothing but what they registered."""

from __future__ import annotations

from django.contrib.admin import AdminSite

from django_enterprise_repo.admin import RepositoryAdmin

from .models import Author, Bare, Book, Category, Item

site = AdminSite(name="admin")


class ItemAdmin(RepositoryAdmin):
    list_display = ("name", "stock")
    fields = ("name", "stock", "price", "category")


site.register(Item, ItemAdmin)
site.register([Author, Bare, Book, Category], RepositoryAdmin)
