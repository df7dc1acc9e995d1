"""The clients of the storm: threads that write and read through repositories, and say what they were told."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connections

from django_enterprise_repo.exceptions import RepositoryDatabaseError
from tests.faults.history import History
from tests.faults.setups import in_threads, write
from tests.testapp.models import Bare, Plain

_REMEMBERED = 50  # acknowledged writes that a thread goes on looking for


@dataclass
class Register:
    """A row that one thread alone updates: it must hold the last acknowledged value, or one of unknown fate.

    Of an unknown one it may never hold anything, or hold it late: a frozen server works off what it has received.
    """

    pk: int
    acknowledged: int = 0
    unknown: list[int] = field(default_factory=list)

    def allows(self, value: int) -> bool:
        return value == self.acknowledged or value in self.unknown


class Client:
    """One thread's work."""

    def __init__(self, alias: str, history: History, seed: str, pk: int) -> None:
        self.alias = alias
        self.history = history
        self.random = random.Random(seed)
        self.register = Register(pk)
        self.seen: list[str] = []
        self.told: Counter[str] = Counter()

    def step(self) -> None:
        action = self.random.choices(
            [self.add, self.unit_of_work, self.update, self.find, self.recall], [3, 3, 2, 3, 2]
        )
        try:
            action[0]()
        except RepositoryDatabaseError as error:
            self.told[f"{action[0].__name__}: {error.kind}"] += 1

    def add(self) -> None:
        self._write(lambda name: Plain.objects.add(Plain(name=name), using=self.alias))

    def unit_of_work(self) -> None:
        verify = self.random.random() < 0.5
        unit = Plain.objects.atomic(retries=2, using=self.alias, verify_commit=verify)
        self._write(lambda name: unit.run(self._two_statements, name))

    def _two_statements(self, name: str) -> None:
        row = Plain.objects.add(Plain(name=f"unfinished {name}"), using=self.alias)
        Plain.objects.update(row, name=name, using=self.alias)

    def _write(self, add: Any) -> None:
        error = write(self.history, self.alias, lambda name: (add(name), self.seen.append(name)))
        if error is not None:
            raise error
        del self.seen[:-_REMEMBERED]

    def update(self) -> None:
        value = max([self.register.acknowledged, *self.register.unknown]) + 1
        try:
            Bare.objects.update(self.register.pk, size=value, using=self.alias)
        except RepositoryDatabaseError as error:
            if error.fate == "unknown":
                self.register.unknown.append(value)
            raise
        self.register.acknowledged = value

    def find(self) -> None:
        """Look for a row that is there."""
        if self.seen:
            name = self.random.choice(self.seen)
            rows = Plain.objects.list({"name": name}, using=self.alias)
            self.told["read right" if [row.name for row in rows] == [name] else "read wrong"] += 1

    def recall(self) -> None:
        value = Bare.objects.get(self.register.pk, using=self.alias).size
        self.told["read right" if self.register.allows(value) else "read wrong"] += 1


def work(alias: str, pipe: Any, history: Path, stop: Any, seed: str, pks: list[int]) -> None:
    """A process of clients, one thread for each register, until ``stop`` is set."""
    clients = [Client(alias, History(history), f"{seed} {pk}", pk) for pk in pks]

    def run(number: int) -> None:
        while not stop.is_set():
            clients[number].step()

    in_threads(len(pks), run, within=None)
    pipe.send([(client.register, client.told) for client in clients])


def registers(alias: str, count: int) -> list[int]:
    """Make so many registers."""
    rows = [Bare.objects.add(Bare(name=uuid.uuid4().hex), using=alias) for _ in range(count)]
    connections[alias].close()
    return [row.pk for row in rows]
