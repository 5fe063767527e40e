"""A program made ready to evaluate: its expressions compiled, its filters callable.

One compiled program serves every journey of its revision. It keeps no state and no results.
"""

from collections.abc import Callable
from typing import assert_never

from emailflow_api.errors import ExpressionFailed
from emailflow_api.expressions import Bindings, Expression, Result, Scope, compile_expression
from emailflow_api.plans import (
    AllOf,
    AnyOf,
    Branch,
    Cel,
    Exact,
    Exit,
    Filter,
    Not,
    Prefix,
    Program,
    Send,
    Step,
    Suffix,
)
from emailflow_runtime.core.cloudevents.event import CloudEvent, ExtensionValue

Predicate = Callable[[CloudEvent, Bindings], bool]


def attribute_text(value: ExtensionValue) -> str:
    """An attribute as filters compare it: in its canonical string form (CloudEvents 1.0.2, section 3.1)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _attributes(wanted: dict[str, str], matches: Callable[[str, str], bool]) -> Predicate:
    def predicate(event: CloudEvent, _: Bindings) -> bool:
        present = event.attributes
        return all(
            name in present and matches(attribute_text(present[name]), text) for name, text in wanted.items()
        )

    return predicate


def _cel(text: str, scope: Scope) -> Predicate:
    expression = compile_expression(text, scope, Result.BOOL)

    def predicate(_: CloudEvent, bindings: Bindings) -> bool:
        return holds(expression, bindings)

    return predicate


def compile_filter(declared: Filter, scope: Scope) -> Predicate:
    """A filter as a predicate (CloudEvents Subscriptions, section 3.2.4). One that can't be evaluated,
    say because the data lacks the field, does not match. Raises InvalidExpression."""
    match declared:
        case Exact():
            return _attributes(declared.attributes, str.__eq__)
        case Prefix():
            return _attributes(declared.attributes, str.startswith)
        case Suffix():
            return _attributes(declared.attributes, str.endswith)
        case AllOf():
            every = [compile_filter(nested, scope) for nested in declared.filters]
            return lambda event, bindings: all(nested(event, bindings) for nested in every)
        case AnyOf():
            some = [compile_filter(nested, scope) for nested in declared.filters]
            return lambda event, bindings: any(nested(event, bindings) for nested in some)
        case Not():
            inner = compile_filter(declared.filter, scope)
            return lambda event, bindings: not inner(event, bindings)
        case Cel():
            return _cel(declared.expression, scope)
        case _:
            assert_never(declared)


def holds(expression: Expression, bindings: Bindings, *, otherwise: bool = False) -> bool:
    """Whether a condition is true; one that has no value counts as `otherwise`."""
    try:
        return expression.evaluate(bindings) is True
    except ExpressionFailed:
        return otherwise


class CompiledExit:
    """One `exitOn` entry."""

    __slots__ = ("_filters", "result", "types")

    def __init__(self, declared: Exit) -> None:
        self.types = frozenset(declared.types)
        self.result = declared.result
        self._filters = [compile_filter(each, Scope.JOURNEY) for each in declared.filters]

    def matches(self, event: CloudEvent, bindings: Bindings) -> bool:
        """Whether this event takes the bound journey out."""
        return event.type in self.types and all(each(event, bindings) for each in self._filters)


class CompiledProgram:
    """A program with everything compiled. Raises InvalidExpression when an expression is not valid."""

    __slots__ = ("_filters", "_steps", "conditions", "continue_if", "exits", "key", "program", "texts")

    def __init__(self, program: Program) -> None:
        self.program = program
        self._steps = {step.name: step for step in program.steps}
        self._filters = [compile_filter(each, Scope.ENTRY) for each in program.trigger.filters]
        self.key = (
            compile_expression(program.trigger.key, Scope.ENTRY, Result.STRING)
            if program.trigger.key
            else None
        )
        self.exits = [CompiledExit(each) for each in program.exits]
        self.continue_if = _condition(program.continue_if)
        self.conditions: dict[str, Expression] = {}
        self.texts: dict[str, Expression] = {}
        for step in program.steps:
            self._compile_step(step)

    def _compile_step(self, step: Step) -> None:
        conditions: list[str] = []
        texts: list[str] = []
        if isinstance(step, Branch):
            conditions = [case.when for case in step.cases]
        elif isinstance(step, Send):
            conditions = [step.skip_if]
            texts = [step.to, step.locale, *step.cc, *step.bcc]
        for text in filter(None, conditions):
            self.conditions[text] = compile_expression(text, Scope.JOURNEY, Result.BOOL)
        for text in filter(None, texts):
            self.texts[text] = compile_expression(text, Scope.JOURNEY, Result.STRING)

    def step(self, name: str) -> Step | None:
        """The step of that name, or None."""
        return self._steps.get(name)

    def admits(self, event: CloudEvent, bindings: Bindings) -> bool:
        """Whether this event triggers the flow."""
        return event.type in self.program.trigger.types and all(
            each(event, bindings) for each in self._filters
        )


def _condition(text: str) -> Expression | None:
    return compile_expression(text, Scope.JOURNEY, Result.BOOL) if text else None
