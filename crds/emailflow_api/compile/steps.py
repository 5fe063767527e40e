"""Steps: each runs on to the next unless it names a target; expressions are checked, defaults filled in."""

from collections.abc import Sequence

from emailflow_api import plans as p
from emailflow_api.compile.addresses import addresses, mailbox
from emailflow_api.compile.checked_expressions import CheckedExpressions
from emailflow_api.compile.filters import compile_filters
from emailflow_api.compile.later import STEPS, STEPS_INSTEAD, refuse
from emailflow_api.compile.targets import following
from emailflow_api.compile.times import check_duration, check_zone
from emailflow_api.kinds.send import Send
from emailflow_api.kinds.step import Branch, Step, Wait


class StepCompiler:
    """Compiles the steps of one flow. Targets are judged in `targets`."""

    def __init__(self, expressions: CheckedExpressions, namespace: str, steps: Sequence[Step]) -> None:
        self._expressions = expressions
        self._report = expressions.report
        self._namespace = namespace
        self._steps = steps

    def compile(self) -> tuple[p.Step, ...]:
        """The steps that are sound; the others are findings."""
        made = [self._step(index, step) for index, step in enumerate(self._steps)]
        return tuple(step for step in made if step is not None)

    def _step(self, index: int, step: Step) -> p.Step | None:
        path = f"spec.steps[{index}]"
        then = step.next or following(self._steps, index)
        if step.send is not None:
            return self._send(f"{path}.send", step.name, then, step.send)
        if step.wait is not None:
            return self._wait(f"{path}.wait", step.name, then, step.wait)
        if step.branch is not None:
            return self._branch(f"{path}.branch", step.name, then, step.branch)
        if step.end is not None:
            return p.End(step.name, step.end.result or "Completed")
        self._come_later(path, step)
        return None

    def _send(self, path: str, name: str, then: str, send: Send) -> p.Send:
        def texts(member: str, values: Sequence[str]) -> tuple[str, ...]:
            return tuple(
                self._expressions.text(f"{path}.{member}[{index}]", value)
                for index, value in enumerate(values)
            )

        return p.Send(
            name=name,
            next=then,
            template=f"{self._namespace}/{send.template_ref.name}",
            provider=send.provider_ref.name if send.provider_ref else "",
            to=self._expressions.text(f"{path}.to", send.to),
            sender=mailbox(self._report, f"{path}.from", send.from_),
            reply_to=addresses(self._report, f"{path}.replyTo", send.reply_to),
            cc=texts("cc", send.cc),
            bcc=texts("bcc", send.bcc),
            locale=self._expressions.text(f"{path}.locale", send.locale),
            skip_if=self._expressions.condition(f"{path}.skipIf", send.skip_if),
            max_lateness=check_duration(self._report, f"{path}.maxLateness", send.max_lateness),
            attachments=tuple(
                p.Attachment(each.name, each.config_map_key_ref.name, each.config_map_key_ref.key)
                for each in send.attachments
            ),
        )

    def _wait(self, path: str, name: str, then: str, wait: Wait) -> p.Wait:
        if (until := wait.until) is None:
            return p.Wait(name, then, duration=check_duration(self._report, f"{path}.for", wait.for_))
        check_zone(self._report, f"{path}.until.timezone", until.timezone)
        after = check_duration(self._report, f"{path}.until.after", until.after)
        moment = p.Until(until.time, tuple(until.days), until.timezone, after)
        return p.Wait(name, then, until=moment)

    def _branch(self, path: str, name: str, then: str, branch: Branch) -> p.Branch:
        cases = tuple(
            p.Case(self._expressions.condition(f"{path}.cases[{index}].when", case.when), case.then)
            for index, case in enumerate(branch.cases)
        )
        return p.Branch(name, branch.otherwise or then, cases)

    def _come_later(self, path: str, step: Step) -> None:
        """Refuse a step that isn't supported yet, and say what else is wrong with it."""
        member = next(member for attribute, member in STEPS.items() if getattr(step, attribute) is not None)
        refuse(self._report, f"{path}.{member}", f"the step {member}", STEPS_INSTEAD)
        if step.wait_for is not None:
            check_duration(self._report, f"{path}.waitFor.timeout", step.wait_for.timeout)
            for index, each in enumerate(step.wait_for.any_of):
                at = f"{path}.waitFor.any[{index}]"
                self._expressions.condition(f"{at}.condition", each.condition)
                compile_filters(self._expressions.about(each.types or ()), f"{at}.filters", each.filters)
        if step.set is not None:
            for trait, value in step.set.traits.items():
                self._expressions.value(f'{path}.set.traits["{trait}"]', value)
        if step.emit is not None:
            self._expressions.value(f"{path}.emit.data", step.emit.data)
