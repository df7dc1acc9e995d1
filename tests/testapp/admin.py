"""An admin site of its own, so that the tests see nothing but what they registered."""

from __future__ import annotations

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth import get_user_model
from simple_history.admin import SimpleHistoryAdmin

from django_enterprise_repo.admin import RepositoryAdmin, RepositoryStackedInline, RepositoryTabularInline

from .models import Account, Author, Bare, Book, Category, Comment, Item, Loud, Plain

site = AdminSite(name="admin")


class ItemAdmin(RepositoryAdmin):
    list_display = ("name", "stock")
    list_editable = ("stock",)
    fields = ("name", "stock", "price", "category")


class ItemInline(RepositoryTabularInline):
    model = Item
    fields = ("name", "stock")
    extra = 0


class CategoryAdmin(RepositoryAdmin):
    inlines = (ItemInline,)


class BookInline(RepositoryStackedInline):
    model = Book
    extra = 0


class AuthorAdmin(RepositoryAdmin):
    search_fields = ("name",)
    ordering = ("name",)
    inlines = (BookInline,)


class BookAdmin(RepositoryAdmin):
    autocomplete_fields = ("author",)


class DeletedAuthorInline(RepositoryTabularInline):
    model = Author
    fk_name = "deleted_by"
    extra = 0


class UserAdmin(ModelAdmin):
    """Not a ``RepositoryAdmin``: the inlines do without one."""

    fields = ("username",)
    inlines = (DeletedAuthorInline,)


class AccountAdmin(SimpleHistoryAdmin, RepositoryAdmin):
    """simple-history's admin beside ours."""


site.register(Item, ItemAdmin)
site.register(Category, CategoryAdmin)
site.register(Author, AuthorAdmin)
site.register(Book, BookAdmin)
site.register(get_user_model(), UserAdmin)
site.register(Account, AccountAdmin)
site.register([Bare, Comment, Loud, Plain], RepositoryAdmin)
