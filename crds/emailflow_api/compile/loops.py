"""Loops of steps on which nothing waits: one event would send mails without end. (Where something waits,
passes are not limited.)

It looks at steps alone: whether a condition can become true is not known.
"""

from collections.abc import Iterator, Mapping, Sequence

from emailflow_api import durations
from emailflow_api.compile.report import Report
from emailflow_api.compile.targets import following, leads_to
from emailflow_api.errors import ApiError
from emailflow_api.kinds.step import Step


def check_loops(report: Report, steps: Sequence[Step]) -> None:
    """Report every loop that takes no time, by the way that it goes."""
    at_once = {step.name: _at_once(steps, index) for index, step in enumerate(steps)}
    reported: set[str] = set()
    for index, step in enumerate(steps):
        way = next(_ways_back(at_once, step.name), None)
        if way is None or step.name in reported:
            continue
        reported.update(way)
        report.error(
            "LoopWithoutWait",
            f"spec.steps[{index}]",
            f"nothing waits on the way {' -> '.join((*way, step.name))}",
            "a `wait`, or a `waitFor` an event, on it",
        )


def _at_once(steps: Sequence[Step], index: int) -> set[str]:
    """The steps that a journey may get to from here without any time in between."""
    step = steps[index]
    if step.wait is not None:
        return leads_to(steps, index) if _is_zero(step.wait.for_) else set()
    if (wait := step.wait_for) is None:
        return leads_to(steps, index)
    onwards = step.next or following(steps, index)
    # A condition may hold already; an event is awaited from the step's own beginning.
    found = {each.then or onwards for each in wait.any_of if each.condition is not None}
    return found | ({wait.on_timeout or onwards} if _is_zero(wait.timeout) else set())


def _is_zero(duration: str | None) -> bool:
    if duration is None:
        return False
    try:
        return durations.seconds(duration) <= 0
    except ApiError:
        return False


def _ways_back(edges: Mapping[str, set[str]], start: str) -> Iterator[tuple[str, ...]]:
    """The shortest way from `start` back to it, if there is one."""
    ahead: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while ahead:
        way = ahead.pop(0)
        for target in sorted(edges.get(way[-1], ())):
            if target == start:
                yield way
                return
            if target not in seen:
                seen.add(target)
                ahead.append((*way, target))
