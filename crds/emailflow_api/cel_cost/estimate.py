"""What an expression may cost at most: a bound from its syntax tree and the size of the data (ADR 0023).

The bound is a function of sizes alone, so that an input has the same answer on every machine. Nothing here
evaluates an expression, and nothing reads a clock.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from emailflow_api.cel_cost.bounds import NOTHING, Amount, Elements, Estimate, Value, total
from emailflow_api.cel_cost.functions import COPY, ELEMENT, NODE, RULES, SCALAR, matching
from emailflow_api.cel_cost.tree import kind
from emailflow_api.errors import InvalidExpression

MAX_ITERATIONS = 10_000
"""The library's own budget for all loops of one evaluation."""


class Sizes(NamedTuple):
    """How large the data of one input is: all of it in bytes, its longest list or map, its longest text."""

    total: int
    items: int
    text: int


class Cost(NamedTuple):
    """Nanoseconds of processor time and bytes of memory, at most."""

    time: float
    memory: float


def estimate(tree: Any, sizes: Sizes) -> Cost:
    """The bound for data of these sizes. Raises InvalidExpression for what can't be estimated."""
    estimator = _Estimator(sizes)
    found = estimator.visit(tree)
    return Cost(estimator.elements.peak(found.time), estimator.elements.peak(found.memory))


class _Estimator:
    """Walks one tree."""

    def __init__(self, sizes: Sizes) -> None:
        most = float(sizes.total)
        self._data = Value(Amount(most), Amount(min(sizes.items, most)), Amount(min(sizes.text, most)))
        self._names: Mapping[str, Value] = {}
        self.elements = Elements()

    def visit(self, node: Any) -> Estimate:
        """The bounds of a node and all below it."""
        match kind(node):
            case "constant":
                length = Amount(float(len(node.constant.text) + len(node.constant.raw)))
                text = Value(length + 4.0, length, length)
                return Estimate(text if node.constant.ListFields() else SCALAR, Amount(NODE))
            case "ident":
                return Estimate(self._names.get(node.ident.name, self._data), Amount(NODE))
            case "select":
                found = self.visit(node.select.operand)
                value = SCALAR if node.select.test else found.value
                return Estimate(value, found.time + NODE, found.memory)
            case "items":
                return self._collected([self.visit(each) for each in node.items.elements])
            case "struct":
                entries = node.struct.entries
                return self._collected(
                    [self.visit(part) for each in entries for part in (each.map_key, each.value)]
                )
            case "comprehension":
                return self._loop(node.comprehension)
            case _:
                return self._call(node.call)

    def _collected(self, parts: Sequence[Estimate]) -> Estimate:
        count = float(len(parts))
        size = total(part.value.size for part in parts) + ELEMENT
        value = Value(size, Amount(count), total(part.value.text for part in parts))
        time = total(part.time for part in parts) + NODE * (1 + count)
        return Estimate(value, time, total(part.memory for part in parts) + ELEMENT * (1 + count))

    def _call(self, call: Any) -> Estimate:
        nodes = [call.target, *call.args] if call.HasField("target") else list(call.args)
        parts = [self.visit(each) for each in nodes]
        if call.function == "matches":
            done = _matched(parts[0].value.text, nodes[1])
        elif (rule := RULES.get(call.function)) is not None:
            done = rule(self.elements, [part.value for part in parts])
        else:
            raise InvalidExpression(
                f"`{call.function}` is not supported",
                expected="a function of CEL, or of its extensions strings, math and optional",
            )
        time = total((done.time, *(part.time for part in parts))) + NODE
        return Estimate(done.value, time, total((done.memory, *(part.memory for part in parts))))

    def _loop(self, loop: Any) -> Estimate:
        """A macro: the sum of its step over the elements of its range.

        A list that it collects is copied at each step, which makes `map` and `filter` quadratic.
        """
        over, start = self.visit(loop.iter_range), self.visit(loop.accu_init)
        rounds = over.value.items
        if self.elements.peak(rounds) > MAX_ITERATIONS:
            rounds = Amount(float(MAX_ITERATIONS))
        element = self.elements.add(loop.iter_var, over.value.size)
        share = Amount(0.0, {element: 1.0})
        names = {loop.iter_var: Value(share + 24.0, share * 0.5 + 1.0, share + 24.0)}
        if loop.iter_var2:
            names[loop.iter_var2] = names[loop.iter_var]
        names[loop.accu_var] = Value(NOTHING, NOTHING, NOTHING)
        step, condition = self._within(names, loop.loop_step), self._within(names, loop.loop_condition)

        def summed(amount: Amount) -> Amount:
            alone = self.elements.product(rounds, amount.without(element))
            return alone + over.value.size * amount.shares.get(element, 0.0)

        grown = Value(*(one + summed(more) for one, more in zip(start.value, step.value, strict=True)))
        time = summed(step.time + condition.time + NODE)
        memory = summed(step.memory + condition.memory)
        if kind(loop.accu_init) == "items":
            copies = self.elements.product(rounds, rounds)
            time, memory = time + copies * (COPY / 2), memory + copies * 20.0
        result = self._within({**self._names, loop.accu_var: grown}, loop.result)
        return Estimate(
            result.value,
            total((over.time, start.time, time, result.time)),
            total((over.memory, start.memory, memory, result.memory)),
        )

    def _within(self, names: Mapping[str, Value], node: Any) -> Estimate:
        before = self._names
        self._names = {**before, **names}
        try:
            return self.visit(node)
        finally:
            self._names = before


def _matched(text: Amount, pattern: Any) -> Estimate:
    if kind(pattern) != "constant":
        raise InvalidExpression(
            "`matches` has a pattern that is not written in the expression", expected="a literal pattern"
        )
    return Estimate(SCALAR, matching(text, pattern.constant.text))
