"""What the tests tell the runner. Nothing of the product is imported here: the runner changes it first."""

from typing import NamedTuple


class Life(NamedTuple):
    """One process of the runtime. `folder` gets `log`, `port` once the door is open and `ready` once it
    decides; `reached` just before it kills itself at `place`, the `count`th time that it comes there."""

    folder: str
    url: str
    namespace: str
    place: tuple[str, str, str, int] | None = None
    over: bool = False
    count: int = 1
    unknown_after: float = 0.5
    workers: bool = False
