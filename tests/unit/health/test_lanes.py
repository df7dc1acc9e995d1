"""One thread for each component, one question for all who ask, and an answer in time."""

from __future__ import annotations

import threading

import pytest

from django_enterprise_repo.health import lanes
from django_enterprise_repo.health.lanes import Lane, Probe
from django_enterprise_repo.health.report import Outcome


class Component:
    """Answers when it may."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.threads: list[int] = []
        self.answer: Outcome | Exception = Outcome("pass")

    def __call__(self, seconds):
        self.threads.append(threading.get_ident())
        assert self.may_answer.wait(30)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def component():
    component = Component()
    yield component
    component.may_answer.set()


def probe(component, check="cache", **options):
    return Probe(check=check, component="x", run=component, **options)


def test_an_answer_is_given_again_while_it_is_fresh(component):
    lane = Lane("x")

    first = lane.ask(probe(component), 30).wait(30)

    assert lane.ask(probe(component), 30).wait(30) is first
    assert len(component.threads) == 1


def test_a_stale_answer_is_not(component):
    lane = Lane("x")
    lane.ask(probe(component, keeps=0.0), 30).wait(30)
    lane.ask(probe(component, keeps=0.0), 30).wait(30)

    assert len(component.threads) == 2


def test_a_failure_is_not_remembered_as_long_as_a_pass(component, monkeypatch):
    monkeypatch.setattr(lanes, "FRESH", 0.0)
    lane = Lane("x")
    component.answer = Outcome("fail")
    assert lane.ask(probe(component, keeps=1000.0), 30).wait(30).status == "fail"
    component.answer = Outcome("pass")

    assert lane.ask(probe(component, keeps=1000.0), 30).wait(30).status == "pass"
    component.answer = Outcome("fail")
    assert lane.ask(probe(component, keeps=1000.0), 30).wait(30).status == "pass"


def test_all_who_ask_at_once_ask_one_question(component):
    component.may_answer.clear()
    lane = Lane("x")
    jobs = [lane.ask(probe(component), 30) for _ in range(50)]
    component.may_answer.set()

    assert {job.wait(30).status for job in jobs} == {"pass"}
    assert len(set(map(id, jobs))) == len(component.threads) == 1


def test_an_answer_that_was_there_is_not_taken_by_who_asks_anew(component):
    lane = Lane("x")
    settled = probe(component, keeps=1000.0)
    first = lane.ask(settled, 30).wait(30)

    second = lane.ask(settled, 30, anew=True).wait(30)

    assert second is not first and len(component.threads) == 2
    assert lane.ask(settled, 30).wait(30) is second, "the others have the new one too"


def test_an_answer_on_its_way_is_waited_for_also_by_who_asks_anew(component):
    component.may_answer.clear()
    lane = Lane("x")
    jobs = [lane.ask(probe(component), 30, anew=True) for _ in range(20)]
    component.may_answer.set()

    assert {job.wait(30).status for job in jobs} == {"pass"}
    assert len(component.threads) == 1


def test_who_hangs_is_not_asked_by_a_second_thread(component):
    component.may_answer.clear()
    lane = Lane("x")

    for _ in range(20):
        finding = lane.ask(probe(component), 0.01).wait(0.01)
        assert (finding.status, finding.outcome.output) == ("fail", "timeout")
    behind = lane.ask(probe(component, check="migrations"), 0.01).wait(0.01)

    assert behind.status == "fail"
    assert len(component.threads) == 1
    component.may_answer.set()
    assert lane.ask(probe(component), 30).wait(30).status == "pass"
    assert lane.ask(probe(component, check="migrations"), 30).wait(30).status == "pass"


def test_an_error_is_a_kind_and_never_its_text(component):
    component.answer = RuntimeError("s3cret")

    finding = Lane("x").ask(probe(component), 30).wait(30)

    assert finding.status == "fail"
    assert "s3cret" not in str(finding.as_dict())


def test_a_process_without_threads_to_spare_says_so(component, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    lane = Lane("x")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert lane.ask(probe(component, keeps=0.0), 30).wait(30).outcome.output == "no_thread"
    monkeypatch.setattr(lanes, "FRESH", 0.0)
    lane = Lane("x")

    assert lane.ask(probe(component), 30).wait(30).status == "pass"


def test_probes_of_one_lane_follow_each_other_in_one_thread(component):
    component.may_answer.clear()
    lane = Lane("x")
    jobs = [lane.ask(probe(component, check=check), 30) for check in ("database", "migrations")]
    component.may_answer.set()

    assert [job.wait(30).check for job in jobs] == ["database", "migrations"]
    assert len(set(component.threads)) == 1
