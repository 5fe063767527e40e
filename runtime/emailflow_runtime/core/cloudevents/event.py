"""A CloudEvent in memory: what the sender said, nothing added, the data's bytes kept.

CloudEvents 1.0.2. Validation belongs to the codecs beside this module; an event that exists is valid.
"""

from functools import cached_property
from typing import Any

import msgspec

SMALL = 1024
"""Bytes of data up to which an event that is kept keeps it parsed, too. Parsed JSON takes up to 27 times as
much memory (`[{},{},...]`, measured on Python 3.11), a usual event 4 to 8 times."""

ExtensionValue = bool | int | str


class CloudEvent(msgspec.Struct, frozen=True, dict=True):
    """One event. Absent optional attributes are None; `data` None means that there is no data member.

    `extensions` keeps the type that the sender used (Boolean, Integer or a string); in a protocol
    binding's headers all are strings.
    """

    id: str
    source: str
    type: str
    specversion: str = "1.0"
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: dict[str, ExtensionValue] = {}
    data: bytes | None = None

    @cached_property
    def value(self) -> Any:
        """The data as expressions and templates see it: parsed JSON, text, or None (other bytes)."""
        return data_value(self.data, self.datacontenttype)

    def forget_value(self) -> None:
        """Keep the data's bytes only, where an event has to wait: parsed, JSON is up to 30 times as large."""
        self.__dict__.pop("value", None)

    @property
    def kept_value(self) -> Any:
        """The same, for events that stay in memory: large data is parsed anew each time."""
        return self.value if self.is_small else data_value(self.data, self.datacontenttype)

    @property
    def is_small(self) -> bool:
        """Whether its data may be kept parsed."""
        return self.data is None or len(self.data) <= SMALL

    def forget_large(self) -> None:
        """Let go of large data as parsed; who needs it again parses it again."""
        if not self.is_small:
            self.__dict__.pop("value", None)

    @cached_property
    def attributes(self) -> dict[str, ExtensionValue]:
        """Every attribute that the event carries, by its CloudEvents name."""
        present: dict[str, ExtensionValue] = {"specversion": self.specversion, "id": self.id}
        present.update(source=self.source, type=self.type)
        for name in ("subject", "time", "datacontenttype", "dataschema"):
            if (text := getattr(self, name)) is not None:
                present[name] = text
        present.update(self.extensions)
        return present


def is_json(datacontenttype: str | None) -> bool:
    """Whether data of this media type is JSON (`*/json`, `*/*+json`; absent: yes, JSON format 3.1.1)."""
    if datacontenttype is None:
        return True
    subtype = datacontenttype.split(";", 1)[0].strip().lower().rpartition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def data_value(data: bytes | None, datacontenttype: str | None) -> Any:
    """What expressions see of the data: JSON parsed, else UTF-8 text, else None."""
    if data is None:
        return None
    if is_json(datacontenttype):
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError):
            return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
