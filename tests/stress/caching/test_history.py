"""The judge of the stress: what it must see, and what it must let pass."""

from __future__ import annotations

from tests.stress.caching.history import Get, Log, Write, judge, load

ROW, TTL = 1, 2.0
SECOND = 10**9
COMMITTED = {(ROW, 0): 0, (ROW, 11): 1, (ROW, 12): 2}
WRITES = [Write(ROW, 11, 10, 20), Write(ROW, 0, 21, 29), Write(ROW, 12, 30, 40)]


def _get(began: int, version: int, *, ended: int | None = None, mark: int | None = None, hit: int = 0) -> Get:
    mark = {0: 0, 1: 11, 2: 12}[version] if mark is None else mark
    return Get(ROW, began, began + 1 if ended is None else ended, version, mark, hit)


def test_what_was_acknowledged_before_is_required_and_no_more():
    gets = [_get(5, 0), _get(20, 0), _get(25, 1), _get(35, 1), _get(40, 2), _get(41, 2)]

    judgement = judge(gets, WRITES, COMMITTED, TTL)

    assert (judgement.gets, judgement.stale, judgement.went_back, judgement.uncommitted) == (6, 0, 0, 0)


def test_less_than_what_was_acknowledged_is_stale():
    judgement = judge([_get(21, 0), _get(40 + 3 * SECOND, 1)], WRITES, COMMITTED, TTL)

    assert judgement.stale == 2
    assert judgement.stale_for == 3.0


def test_a_later_acknowledgement_of_an_earlier_version_requires_no_less():
    writes = [Write(ROW, 11, 10, 50), Write(ROW, 12, 10, 20)]

    assert judge([_get(60, 1)], writes, COMMITTED, TTL).stale == 1


def test_a_get_that_returns_less_than_one_before_it_went_back():
    gets = [_get(31, 2, ended=33), _get(33, 1), _get(34, 1)]

    judgement = judge(gets, WRITES, COMMITTED, TTL)

    assert (judgement.stale, judgement.went_back) == (0, 1)


def test_a_mark_that_was_never_committed_with_its_version_is_told():
    assert judge([_get(5, 1, mark=99), _get(5, 1, mark=12)], WRITES, COMMITTED, TTL).uncommitted == 2


def test_rows_are_quiet_a_lifetime_after_whoever_wrote_them_last():
    writes = [Write(ROW, 11, 0, SECOND), Write(ROW, 0, SECOND, 2 * SECOND), Write(ROW, 12, 9 * SECOND, 10 * SECOND)]
    gets = [
        _get(4 * SECOND - 1, 1, hit=1),  # too early: a rollback counts, too
        _get(4 * SECOND, 1, hit=1),
        _get(8 * SECOND, 1),
        _get(8 * SECOND, 1, ended=9 * SECOND + 1),  # somebody has begun
    ]

    judgement = judge(gets, writes, COMMITTED, TTL)

    assert (judgement.hits, judgement.quiet_hits, judgement.quiet_gets) == (2, 1, 2)


def test_each_row_is_judged_by_its_own_writes():
    other = _get(50, 0)._replace(pk=2)

    assert judge([other], WRITES, {**COMMITTED, (2, 0): 0}, TTL).stale == 0


def test_a_log_is_read_as_it_was_noted(tmp_path):
    log = Log()
    events = [_get(5, 0), _get(2**62, 2)]
    for event in events:
        log.note(event)

    log.save(tmp_path / "log")

    assert list(load(Get, tmp_path / "log")) == events
