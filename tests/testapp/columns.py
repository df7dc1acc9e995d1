"""A row with every field that Django has, in the tables of a parent and a child."""

from __future__ import annotations

from django.db import models


class Label(models.Model):
    """Its key is text."""

    code = models.CharField(max_length=20, primary_key=True)


class Stamp(models.Model):
    """Its key is a UUID."""

    id = models.UUIDField(primary_key=True)


class NumberColumns(models.Model):
    """The parent: numbers, truths and keys."""

    big = models.BigIntegerField(null=True)
    flag = models.BooleanField(null=True)
    price = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    ratio = models.FloatField(null=True)
    number = models.IntegerField(null=True)
    positive_big = models.PositiveBigIntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    positive_small = models.PositiveSmallIntegerField(null=True)
    small = models.SmallIntegerField(null=True)
    twice = models.GeneratedField(
        expression=models.F("number") * 2, output_field=models.BigIntegerField(), db_persist=True
    )
    label = models.ForeignKey(Label, models.CASCADE, null=True, related_name="+")
    stamp = models.OneToOneField(Stamp, models.CASCADE, null=True, related_name="+")
    neighbour = models.ForeignKey("self", models.CASCADE, null=True, related_name="+")


class Columns(NumberColumns):
    """The child: text, times and the rest."""

    binary = models.BinaryField(null=True)
    name = models.CharField(max_length=200, null=True, db_column="a_name")
    email = models.EmailField(null=True)
    attachment = models.FileField(null=True)
    path = models.FilePathField(path="/", null=True)
    address = models.GenericIPAddressField(null=True)
    picture = models.ImageField(null=True)
    slug = models.SlugField(null=True)
    text = models.TextField(null=True)
    url = models.URLField(null=True)
    day = models.DateField(null=True)
    at = models.DateTimeField(null=True)
    length = models.DurationField(null=True)
    hour = models.TimeField(null=True)
    document = models.JSONField(null=True)
    token = models.UUIDField(null=True)
