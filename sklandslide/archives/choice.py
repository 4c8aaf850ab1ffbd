"""Which dates of which track: chosen by rules, shown with reasons, and left to the user in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..exceptions import ArchiveError
from .area import Event
from .passes import Pass

ROLES = ("before", "after", "after2")


@dataclass(frozen=True)
class Rules:
    """What a date must be to be chosen."""

    event: Event
    min_coverage: float
    polarisations: tuple[str, ...]

    def against(self, one: Pass) -> str:
        """Why a pass cannot be chosen; nothing if it can."""
        if missing := self.lacking(one):
            return f"has no {missing}"
        if one.coverage < self.min_coverage:
            return f"covers {one.coverage:.0%} of the area; min_coverage={self.min_coverage:g}"
        if not self.before(one) and not self.after(one):
            return "before or after the event? Give the event with its time"
        return ""

    def lacking(self, one: Pass) -> str:
        """The polarisations that a pass has not, in words."""
        return " and no ".join(name for name in self.polarisations if name not in one.polarisations)

    def before(self, one: Pass) -> bool:
        return one.end <= self.event.first

    def after(self, one: Pass) -> bool:
        return one.begin >= self.event.last


def pick(passes: Sequence[Pass], rules: Rules) -> dict[str, Pass]:
    """The last date before the event, and the first two after it, of the passes of one track."""
    usable = sorted((one for one in passes if not rules.against(one)), key=lambda one: one.begin)
    before = [one for one in usable if rules.before(one)][-1:]
    after = [one for one in usable if rules.after(one)][:2]
    return dict(zip(("before",) * len(before) + ROLES[1:], before + after, strict=False))


def best_track(dates: Mapping[str, Mapping[str, Pass]]) -> str | None:
    """The track to use: with two dates after the event before one with one, then the least time between dates."""
    whole = [track for track, chosen in dates.items() if {"before", "after"} <= set(chosen)]
    if not whole:
        return None
    return min(whole, key=lambda t: ("after2" not in dates[t], dates[t]["after"].begin - dates[t]["before"].begin, t))


def named(passes: Sequence[Pass], date: str, role: str, rules: Rules) -> Pass:
    """The pass of a date that the user names; ArchiveError if there is none, or on the wrong side of the event."""
    found = [one for one in passes if str(one).startswith(str(date)[:16].replace("T", " "))]
    there = ", ".join(str(one) for one in passes)
    if len(found) != 1:
        raise ArchiveError(f"{role}={date!r} names {len(found)} dates of this track. Name one of {there} (UTC).")
    if missing := rules.lacking(found[0]):
        raise ArchiveError(f"{role}={date!r} has no {missing}. Choose another date, or search with polarisations=.")
    wrong = rules.after(found[0]) if role == "before" else rules.before(found[0])
    if wrong:
        raise ArchiveError(f"{role}={date!r} lies on the other side of the event, {rules.event}. Name one of {there}.")
    return found[0]


def reason_of(one: Pass, role: str, dates: Mapping[str, Mapping[str, Pass]], used: str | None, rules: Rules) -> str:
    """Why a pass is not taken, in words; nothing where it is."""
    chosen = dates[one.track]
    if role:
        lacking = [word for word in ("before", "after") if word not in chosen]
        if lacking:
            return f"the track has no date {' and none '.join(lacking)} the event that can be used"
        return "" if one.track == used else f"the track {used} is used; choose({one.track!r}) takes this one"
    if against := rules.against(one):
        return against
    side = ROLES[:1] if rules.before(one) else ROLES[1:]
    others = [f"{chosen[role].begin:%Y-%m-%d}" for role in side if role in chosen]
    return f"{' and '.join(others) or 'no date'} {'are' if len(others) > 1 else 'is'} chosen"
