"""Volcano's CronJob as its webhook checks it; the job that it creates is judged by the rules about jobs.

Source: pkg/webhooks/admission/cronjobs of Volcano, and ParseStandard of github.com/robfig/cron.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.text.shapes import mapping, text
from ftgen.validation import Finding, rule
from ftgen.validation.rules import CRON_JOB

_LONGEST_NAME = 52  # eleven characters follow in the name of a job
_LONGEST_NUMBER = 10
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_EVERY = re.compile(r"@every [+-]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)")
_RANGE = re.compile(r"([0-9]{1,9}|[A-Za-z]{3}|[*?])(?:-([^/]*))?(?:/([0-9]{1,9}))?")
_ZONE_PART = re.compile(r"[A-Za-z._0-9+-]{1,14}")


@rule("FT798", "unusable-cron-job", on=CRON_JOB)
def unusable_cron_job(cron_job: Mapping[str, Any]) -> Iterator[Finding]:
    """A CronJob of Volcano whose name, schedule or time zone its webhook refuses.

    A job's name is the CronJob's and up to eleven characters more, so that 52 remain.  A schedule has five fields
    (minute, hour, day of the month, month, day of the week) or is a word such as `@daily`; its time zone has a field of
    its own.

    Refused: `schedule: "TZ=Asia/Shanghai 0 3 * * *"`, `schedule: "0 24 * * *"`.
    Write: `schedule: "0 3 * * *"` with `timeZone: Asia/Shanghai`.
    """
    spec = mapping(cron_job.get("spec"))
    name, schedule = text(mapping(cron_job.get("metadata")).get("name")), text(spec.get("schedule"))
    if len(name) > _LONGEST_NAME:
        headline = f"the name has {len(name)} characters; {_LONGEST_NAME} leave room for those of its jobs"
        yield Finding(headline, "metadata.name", name, f"shorten the name by {len(name) - _LONGEST_NAME}")
    if problem := _schedule_problem(schedule):
        yield Finding(problem, "spec.schedule", schedule, 'write five fields, such as "0 3 * * *", or @daily')
    if "timeZone" in spec and not _is_zone(text(spec["timeZone"])):
        headline = f"{text(spec['timeZone'])!r} is no name of a time zone"
        yield Finding(headline, "spec.timeZone", text(spec["timeZone"]), "name one of IANA's, such as Asia/Shanghai")


def _schedule_problem(schedule: str) -> str:
    """Return why a schedule is none; empty for one."""
    if "TZ" in schedule:
        return "the schedule names a time zone, which has its own field"
    if schedule.startswith("@"):
        return "" if schedule in _WORDS or _EVERY.fullmatch(schedule) else f"there is no schedule {schedule!r}"
    parts = schedule.split()
    if len(parts) != len(_FIELDS):
        return f"the schedule has {len(parts)} fields, and it takes {len(_FIELDS)}"
    for part, (field, least, most, names) in zip(parts, _FIELDS, strict=True):
        if not all(_is_range(each, least, most, names) for each in part.split(",") if each) or not part.strip(","):
            return f"{part!r} is no {field}, which is {least} to {most}"
    return ""


def _is_range(words: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    """Return whether some words are one value, a range or all values, perhaps with a step."""
    found = _RANGE.fullmatch(words)
    if found is None or (found[3] and int(found[3]) == 0):
        return False
    if found[1] in {"*", "?"}:  # whatever ends the range
        return True
    first = _number(found[1], least, names)
    last = first if found[2] is None else _number(found[2], least, names)
    return first is not None and last is not None and least <= first <= last <= most


def _number(word: str, least: int, names: tuple[str, ...]) -> int | None:
    if word.isascii() and word.isdecimal() and len(word) < _LONGEST_NUMBER:
        return int(word)
    return least + names.index(word.lower()) if word.lower() in names else None


def _is_zone(zone: str) -> bool:
    parts = zone.split("/")
    is_formed = all(_ZONE_PART.fullmatch(p) and p not in {".", ".."} and not p.startswith("-") for p in parts)
    return is_formed and zone.lower() != "local"
