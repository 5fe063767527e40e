"""Where steps lead: targets that exist, steps that are reached, and surprises on the way."""

from collections.abc import Mapping, Sequence

from emailflow_api.compile.report import Report
from emailflow_api.kinds.step import Step
from emailflow_api.plans import END


def check_targets(report: Report, steps: Sequence[Step]) -> None:
    """Report targets that don't exist, steps that nothing leads to, and steps that run on into a step which
    is meant for another way out of the same branch."""
    names = [step.name for step in steps]
    for index, step in enumerate(steps):
        for path, target in explicit_targets(step):
            if target != END and target not in names:
                report.error(
                    "StepNotFound",
                    f"spec.steps[{index}].{path}",
                    f"there is no step `{target}`",
                    f"{END}, or one of {', '.join(names)}",
                )
    onwards = {step.name: leads_to(steps, index) for index, step in enumerate(steps)}
    reached = _reached(onwards, names[0])
    for index, step in enumerate(steps):
        path = f"spec.steps[{index}]"
        if step.name not in reached:
            report.warning("Unreachable", path, f"nothing leads to the step `{step.name}`")
        elif (following := _meant_for_another(steps, index, onwards)) is not None:
            report.warning(
                "FallsThrough",
                path,
                f"the step `{step.name}` runs on into `{following}`, which is another branch's target",
                f"`next: end`, or `next: {following}` if that is meant",
            )


def explicit_targets(step: Step) -> list[tuple[str, str]]:
    """Every target that the step names, each with its path below the step."""
    named: list[tuple[str, str | None]] = [("next", step.next)]
    if step.branch is not None:
        named += [(f"branch.cases[{i}].then", case.then) for i, case in enumerate(step.branch.cases)]
        named.append(("branch.otherwise", step.branch.otherwise))
    if step.split is not None:
        named += [(f"split.variants[{i}].then", each.then) for i, each in enumerate(step.split.variants)]
    if step.wait_for is not None:
        named += [(f"waitFor.any[{i}].then", each.then) for i, each in enumerate(step.wait_for.any_of)]
        named.append(("waitFor.onTimeout", step.wait_for.on_timeout))
    return [(path, target) for path, target in named if target is not None]


def following(steps: Sequence[Step], index: int) -> str:
    """The step after this one in the list, or `end`."""
    return steps[index + 1].name if index + 1 < len(steps) else END


def _runs_on(step: Step) -> bool:
    """Whether the step can go on to the one that follows it in the list."""
    if step.next is not None or step.end is not None or step.split is not None:
        return False
    if step.branch is not None:
        return step.branch.otherwise is None
    if (wait := step.wait_for) is not None:
        return any(each.then is None for each in wait.any_of) or (
            wait.timeout is not None and wait.on_timeout is None
        )
    return True


def leads_to(steps: Sequence[Step], index: int) -> set[str]:
    """Every step, or `end`, that the step may lead to."""
    targets = {target for _, target in explicit_targets(steps[index])}
    return targets | {following(steps, index)} if _runs_on(steps[index]) else targets


def _reached(onwards: Mapping[str, set[str]], start: str, without: frozenset[str] = frozenset()) -> set[str]:
    """The steps that a journey can get to from `start`, never passing through those left out."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        name = ahead.pop()
        if name in onwards and name not in found and name not in without:
            found.add(name)
            ahead += onwards[name]
    return found


def _meant_for_another(steps: Sequence[Step], index: int, onwards: Mapping[str, set[str]]) -> str | None:
    """The step that this one runs on into, if a branch means that one for a different way out."""
    if not _runs_on(steps[index]) or index + 1 == len(steps):
        return None
    here, after = steps[index], steps[index + 1].name
    for branch in steps:
        ways = {target for _, target in explicit_targets(branch)}
        if branch.name == here.name or after not in ways or len(ways) < 2:
            continue
        without = frozenset((after, branch.name))
        if any(here.name in _reached(onwards, way, without) for way in ways - {after}):
            return after
    return None
