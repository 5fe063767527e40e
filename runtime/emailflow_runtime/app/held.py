"""The mails that wait without a place: something is suspended, or something that they need is not there.

They are kept by name, as many as may be, together with those that need the same. It begins none of them.
"""

import logging
from collections.abc import Iterator

from emailflow_runtime.app.needs import Needs, Place
from emailflow_runtime.app.stores import EnrolmentKey
from emailflow_runtime.core.gates import Absent

log = logging.getLogger(__name__)


class Group:
    """Mails that need the same, in order. `more`: there are others, which only STATE knows."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.names: dict[str, EnrolmentKey] = {}
        self.more = False
        self.absent: Absent | None = None
        """What was not there when last looked for; None: something is suspended."""


class Held:
    """One for each shard."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._groups: dict[Place, Group] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._groups)

    @property
    def for_secrets(self) -> bool:
        """Whether some wait for what no change of plans brings."""
        return any(each.absent is not None and each.absent.gate == "secret" for each in self._groups.values())

    def add(self, place: Place, mail: str, key: EnrolmentKey, *, most: int) -> bool:
        """Keep a mail, by name as long as there are fewer than `most`. Whether none of its place was kept."""
        group, anew = self._groups.get(place), False
        if group is None:
            group, anew = Group(place), True
            self._groups[place] = group
            self._look(group)
        if mail not in group.names:
            if self._count < most:
                group.names[mail] = key
                self._count += 1
            else:
                group.more = True
        return anew

    def keeps(self, place: Place, *, waits: bool) -> bool:
        """Whether a mail that STATE tells of is to be kept. `waits`: it is known to wait for something."""
        return self._needs.is_suspended(place) or (waits and place in self._groups)

    def released(self) -> Iterator[Group]:
        """Those that nothing keeps any more; they are not kept from here on."""
        for place, group in list(self._groups.items()):
            if self._look(group):
                if not self._needs.is_declared(place):
                    # Mostly it will never come back. If it does, STATE knows of them.
                    self._count -= len(group.names)
                    group.names, group.more = {}, True
                continue
            del self._groups[place]
            self._count -= len(group.names)
            yield group

    def _look(self, group: Group) -> bool:
        """Whether something keeps them now; what that is, is logged when it is something else."""
        before, suspended = group.absent, self._needs.is_suspended(group.place)
        group.absent = None if suspended else self._needs.absence(group.place)
        if group.absent is not None and group.absent != before:
            flow, _, step = group.place
            log.warning(
                "mails are held: %s",
                group.absent.message,
                extra={"flow": flow, "step": step, "reason": group.absent.reason},
            )
        return suspended or group.absent is not None
