"""Bounds of sizes and costs, and how they add and multiply across the elements of lists.

An element of a list may be as large as the list, but all elements together are not larger. A sum over the
elements knows that, a product of two bounds would not. This module knows no CEL.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Amount:
    """`fixed + sum(share * size of an element)`; the elements are those of the loops around it."""

    __slots__ = ("fixed", "shares")

    def __init__(self, fixed: float = 0.0, shares: Mapping[str, float] | None = None) -> None:
        self.fixed = fixed
        self.shares = shares or {}

    def __add__(self, other: "Amount | float") -> "Amount":
        if not isinstance(other, Amount):
            return Amount(self.fixed + other, self.shares)
        if not (self.shares or other.shares):
            return Amount(self.fixed + other.fixed)
        names = {*self.shares, *other.shares}
        shares = {name: self.shares.get(name, 0.0) + other.shares.get(name, 0.0) for name in names}
        return Amount(self.fixed + other.fixed, shares)

    def __mul__(self, factor: float) -> "Amount":
        return Amount(self.fixed * factor, {name: share * factor for name, share in self.shares.items()})

    def without(self, element: str) -> "Amount":
        """The part that does not depend on this element."""
        return Amount(self.fixed, {name: share for name, share in self.shares.items() if name != element})


NOTHING = Amount()


def total(amounts: Iterable[Amount]) -> Amount:
    """The sum of these."""
    found = NOTHING
    for amount in amounts:
        found = found + amount
    return found


class Value(NamedTuple):
    """Bounds of a value: its bytes in all, its elements, and the characters of a text in it."""

    size: Amount
    items: Amount
    text: Amount


class Estimate(NamedTuple):
    """A value, and what making it costs: nanoseconds of processor time, and bytes of memory."""

    value: Value
    time: Amount = NOTHING
    memory: Amount = NOTHING


class Elements:
    """The elements of the loops of one expression, each with the size that it may have at most."""

    def __init__(self) -> None:
        self._peaks: dict[str, float] = {}

    def add(self, variable: str, largest: Amount) -> str:
        """A name for the element that a loop calls `variable`, which is as large as `largest` at most."""
        name = f"{variable}#{len(self._peaks)}"
        self._peaks[name] = self.peak(largest)
        return name

    def peak(self, amount: Amount) -> float:
        """The bound whatever the elements are."""
        return amount.fixed + sum(share * self._peaks[name] for name, share in amount.shares.items())

    def product(self, one: Amount, other: Amount) -> Amount:
        """A bound of the product. It stays linear: one factor counts at its peak."""
        if one.shares and not other.shares:
            return one * other.fixed
        return other * self.peak(one)

    def smaller(self, one: Amount, other: Amount) -> Amount:
        """The bound of the two that is smaller at its peak."""
        return one if self.peak(one) <= self.peak(other) else other

    def larger(self, one: Value, other: Value) -> Value:
        """Bounds of a value that is one of these two."""
        return Value(*(self._either(a, b) for a, b in zip(one, other, strict=True)))

    def _either(self, one: Amount, other: Amount) -> Amount:
        if one.shares or other.shares:
            return one + other
        return one if one.fixed >= other.fixed else other
