"""Steps: each runs on to the next unless it names a target; targets are resolved, expressions checked."""

from collections.abc import Sequence

from emailflow_api import durations
from emailflow_api import plans as p
from emailflow_api.compile.later import STEPS, refuse
from emailflow_api.compile.report import Report
from emailflow_api.expressions import Result, Scope
from emailflow_api.kinds.send import Mailbox, Send
from emailflow_api.kinds.step import Branch, Step, Wait

JOURNEY = Scope.JOURNEY


def address(mailbox: Mailbox | None) -> p.Address | None:
    """A mailbox as plans hold it."""
    return p.Address(mailbox.address, mailbox.name or "") if mailbox else None


class StepCompiler:
    """Compiles the steps of one flow."""

    def __init__(self, report: Report, namespace: str, steps: Sequence[Step]) -> None:
        self._report = report
        self._namespace = namespace
        self._steps = steps
        self._names = [step.name for step in steps]

    def compile(self) -> tuple[p.Step, ...]:
        """The steps that are sound; the others are findings."""
        made = [self._step(index, step) for index, step in enumerate(self._steps)]
        self._warn_of_surprises()
        return tuple(step for step in made if step is not None)

    def _step(self, index: int, step: Step) -> p.Step | None:
        path = f"spec.steps[{index}]"
        following = self._names[index + 1] if index + 1 < len(self._steps) else p.END
        then = self._target(f"{path}.next", step.next) if step.next else following
        if step.send is not None:
            return self._send(f"{path}.send", step.name, then, step.send)
        if step.wait is not None:
            return self._wait(f"{path}.wait", step.name, then, step.wait)
        if step.branch is not None:
            return self._branch(f"{path}.branch", step.name, then, step.branch)
        if step.end is not None:
            return p.End(step.name, step.end.result or "Completed")
        action = next((name for name in STEPS if getattr(step, name) is not None), "this")
        words = action.split("_")
        member = words[0] + "".join(word.title() for word in words[1:])
        refuse(self._report, f"{path}.{member}", f"the step {member}", "send, wait, branch or end")
        return None

    def _target(self, path: str, target: str) -> str:
        if target != p.END and target not in self._names:
            known = ", ".join(self._names)
            self._report.error("StepNotFound", path, f"there is no step {target}", f"end or one of {known}")
        return target

    def _send(self, path: str, name: str, then: str, send: Send) -> p.Send:
        def text(member: str, value: str | None) -> str:
            return self._report.expression(f"{path}.{member}", value, JOURNEY, Result.STRING)

        if send.max_lateness:
            self._report.attempt(f"{path}.maxLateness", lambda: durations.parse(send.max_lateness or ""))
        return p.Send(
            name=name,
            next=then,
            template=f"{self._namespace}/{send.template_ref.name}",
            provider=send.provider_ref.name if send.provider_ref else "",
            to=text("to", send.to),
            sender=address(send.from_),
            reply_to=tuple(send.reply_to),
            cc=tuple(text(f"cc[{index}]", value) for index, value in enumerate(send.cc)),
            bcc=tuple(text(f"bcc[{index}]", value) for index, value in enumerate(send.bcc)),
            locale=text("locale", send.locale),
            skip_if=self._report.expression(f"{path}.skipIf", send.skip_if, JOURNEY, Result.BOOL),
            max_lateness=send.max_lateness or "",
            attachments=tuple(
                p.Attachment(each.name, each.config_map_key_ref.name, each.config_map_key_ref.key)
                for each in send.attachments
            ),
        )

    def _wait(self, path: str, name: str, then: str, wait: Wait) -> p.Wait:
        if wait.until is None:
            self._report.attempt(f"{path}.for", lambda: durations.parse(wait.for_ or ""))
            return p.Wait(name, then, duration=wait.for_ or "")
        until = wait.until
        if until.timezone != "contact":
            self._report.attempt(f"{path}.until.timezone", lambda: durations.zone_of(until.timezone))
        if until.after:
            self._report.attempt(f"{path}.until.after", lambda: durations.parse(until.after or ""))
        made = p.Until(until.time, tuple(until.days), until.timezone, until.after or "")
        return p.Wait(name, then, until=made)

    def _branch(self, path: str, name: str, then: str, branch: Branch) -> p.Branch:
        cases = []
        for index, case in enumerate(branch.cases):
            at = f"{path}.cases[{index}]"
            when = self._report.expression(f"{at}.when", case.when, JOURNEY, Result.BOOL)
            cases.append(p.Case(when, self._target(f"{at}.then", case.then)))
        otherwise = self._target(f"{path}.otherwise", branch.otherwise) if branch.otherwise else then
        return p.Branch(name, otherwise, tuple(cases))

    def _warn_of_surprises(self) -> None:
        """Steps that nobody reaches, and steps that run on into another branch's target."""
        jumped = _jumped_to(self._steps)
        reached = {self._names[0]} if self._names else set()
        for index, step in enumerate(self._steps):
            following = self._names[index + 1] if index + 1 < len(self._names) else None
            runs_on = step.next is None and step.end is None and not _always_jumps(step)
            if following and runs_on:
                reached.add(following)
                if step.branch is None and step.name in jumped and following in jumped:
                    self._report.warning(
                        "FallsThrough",
                        f"spec.steps[{index}]",
                        f"the step {step.name} runs on into {following}, which is another branch's target",
                        "`next` saying so",
                    )
        for index, name in enumerate(self._names):
            if name not in reached and name not in jumped:
                self._report.warning(
                    "Unreachable", f"spec.steps[{index}]", f"nothing leads to the step {name}"
                )


def _always_jumps(step: Step) -> bool:
    return step.split is not None or (step.branch is not None and step.branch.otherwise is not None)


def _jumped_to(steps: Sequence[Step]) -> set[str]:
    """The names of all explicit targets."""
    targets: set[str | None] = {step.next for step in steps}
    for step in steps:
        if step.branch is not None:
            targets |= {case.then for case in step.branch.cases} | {step.branch.otherwise}
        if step.split is not None:
            targets |= {variant.then for variant in step.split.variants}
        if step.wait_for is not None:
            targets |= {each.then for each in step.wait_for.any_of} | {step.wait_for.on_timeout}
    return {target for target in targets if target}
