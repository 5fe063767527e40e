"""Why bytes are not a CloudEvent: one class, and so one `reason`, for each kind of fault.

Messages name the attribute and what was expected. They never repeat a value, which may be personal.
"""

from emailflow_runtime.errors import InvalidEvent


class CodecError(InvalidEvent):
    """Root of all that the codecs raise; they raise nothing else, whatever they are given."""


class MissingAttribute(CodecError):
    """A required attribute is not there."""

    reason = "MissingAttribute"


class InvalidAttribute(CodecError):
    """An attribute's name, type or value breaks a rule of CloudEvents."""

    reason = "InvalidAttribute"


class RepeatedAttribute(CodecError):
    """An attribute appears more than once."""

    reason = "RepeatedAttribute"


class TooManyAttributes(CodecError):
    """More attributes than any event is allowed to have."""

    reason = "TooManyAttributes"


class UnknownSpecVersion(CodecError):
    """Another version of CloudEvents than 1.0."""

    reason = "UnknownSpecVersion"


class MalformedJson(CodecError):
    """Text that should be JSON and isn't, or JSON of the wrong shape."""

    reason = "MalformedJson"


class TooDeep(CodecError):
    """JSON nested deeper than any event is allowed to be."""

    reason = "TooDeep"


class DataConflict(CodecError):
    """`data` and `data_base64` in one event."""

    reason = "DataConflict"


class InvalidData(CodecError):
    """Data that is not what its `datacontenttype` says."""

    reason = "InvalidData"


class TooLarge(CodecError):
    """More than any event, or batch, is allowed to weigh."""

    reason = "TooLarge"


class UnsupportedMediaType(CodecError):
    """The message is in no form of CloudEvents that is understood here."""

    reason = "UnsupportedMediaType"
