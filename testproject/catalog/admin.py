from __future__ import annotations

from django.contrib import admin

from django_enterprise_repo.admin import RepositoryAdmin

from .models import Category, Product


@admin.register(Product)
class ProductAdmin(RepositoryAdmin):
    list_display = ("name", "category", "price", "stock")


admin.site.register(Category, RepositoryAdmin)
