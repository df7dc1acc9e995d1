"""Put caches under stress and report how many gets were stale.

    python -m tests.stress.caching [--seconds 25] [--subjects ours control …] [--write PATH] [--json PATH]

The report is Markdown. It ends with 1 if this package has returned anything stale, or if the control has not: then the
stress was too weak to see it. django-cacheops and django-cachalot are measured where they are installed
(``pip install --group comparison``).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from tests.stress.caching.run import READERS, WRITERS, Figures, run_apart
from tests.stress.caching.subjects import CONTROL, LOCK_TTL, OURS, OURS_ON_DJANGO, SUBJECTS

COLUMNS = (
    "subject", "gets", "hits", "stale", "stale for", "went back", "uncommitted", "stale at rest", "written",
    "taken back", "hits of quiet rows",
)  # fmt: skip
ENOUGH_HITS = 0.8


def markdown(report: Sequence[Figures]) -> str:
    """A row for each subject."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|" + "--:|" * (len(COLUMNS) - 1)]
    for figures in report:
        cells = (
            SUBJECTS[figures.subject].title,
            f"{figures.gets:,}",
            f"{figures.hits:,}",
            f"{figures.stale:,}",
            f"{figures.stale_for:.1f} s" if figures.stale else "",
            f"{figures.went_back:,}",
            f"{figures.uncommitted:,}",
            f"{figures.stale_at_rest:,}",
            f"{figures.written:,}",
            f"{figures.taken_back:,}",
            f"{figures.quiet_ratio:.1%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    seconds = {figures.seconds for figures in report}
    return "\n".join([*lines, "", *_explained(seconds)])


def _explained(seconds: set[float]) -> Sequence[str]:
    lengths = " and ".join(f"{each:.0f}" for each in sorted(seconds))
    return (
        f"{WRITERS} processes write and {READERS} read for {lengths} s.",
        "",
        "- stale: less than what had been acknowledged when the get began; the worst of them, for how long.",
        "- went back: less than another get had returned before the get began.",
        "- uncommitted: what a transaction wrote that was rolled back.",
        "- stale at rest: rows that are read wrong when everybody is done.",
        "- written, taken back: rows of acknowledged writes, and of those that were rolled back.",
        f"- hits of quiet rows: of gets of rows that nobody had written for {LOCK_TTL} s, the lifetime of a lock.",
    )


def holds(figures: Figures) -> bool:
    """Whether a run says of its subject what it should."""
    if figures.subject in (OURS.name, OURS_ON_DJANGO.name):
        return figures.is_coherent and figures.quiet_ratio >= ENOUGH_HITS
    return figures.stale > 0 if figures.subject == CONTROL.name else True


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Put caches under stress and report how many gets were stale.")
    parser.add_argument("--seconds", type=float, default=25.0, help="for each subject")
    parser.add_argument("--subjects", choices=SUBJECTS, nargs="+", default=list(SUBJECTS))
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the Markdown to a file, too")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures as JSON, too")
    options = parser.parse_args(arguments)
    report = []
    for name in options.subjects:
        if find_spec(SUBJECTS[name].needs) is None:
            print(f"{SUBJECTS[name].title} is left out: {SUBJECTS[name].needs} is not installed.", file=sys.stderr)
            continue
        print(f"{SUBJECTS[name].title} for {options.seconds:.0f} s", file=sys.stderr)
        report.append(run_apart(SUBJECTS[name], options.seconds))
    text = markdown(report)
    print(text)
    if options.write:
        options.write.write_text(text + "\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(figures) for figures in report], indent=2))
    return int(not all(holds(figures) for figures in report))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
