"""The syntax tree of a checked CEL expression as the library serializes it (cel-spec, `checked.proto`).

The library shows no tree of its own, and its wheel has no Python classes for the messages, so this module
declares the part of them that a cost estimate needs. It may not interpret the tree.
"""

from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from emailflow_api.errors import InvalidExpression

_PACKAGE = "cel.expr"
_SCALARS = {
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
}
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "CheckedExpr": (("expr", 4, "Expr"),),
    "Expr": (
        ("constant", 3, "Constant"),
        ("ident", 4, "Ident"),
        ("select", 5, "Select"),
        ("call", 6, "Call"),
        ("items", 7, "Items"),
        ("struct", 8, "Struct"),
        ("comprehension", 9, "Comprehension"),
    ),
    "Constant": (("text", 6, "string"), ("raw", 7, "bytes")),
    "Ident": (("name", 1, "string"),),
    "Select": (("operand", 1, "Expr"), ("field", 2, "string"), ("test", 3, "bool")),
    "Call": (("target", 1, "Expr"), ("function", 2, "string"), ("args", 3, "*Expr")),
    "Items": (("elements", 1, "*Expr"),),
    "Struct": (("name", 1, "string"), ("entries", 2, "*Entry")),
    "Entry": (("map_key", 3, "Expr"), ("value", 4, "Expr")),
    "Comprehension": (
        ("iter_var", 1, "string"),
        ("iter_range", 2, "Expr"),
        ("accu_var", 3, "string"),
        ("accu_init", 4, "Expr"),
        ("loop_condition", 5, "Expr"),
        ("loop_step", 6, "Expr"),
        ("result", 7, "Expr"),
        ("iter_var2", 8, "string"),
    ),
}
"""Fields by message: a name of ours, the number in the specification, and the type (`*`: repeated)."""


def _declared() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="emailflow/checked.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            declared = message.field.add(name=field, number=number)
            repeated = kind.startswith("*")
            declared.label = declared.LABEL_REPEATED if repeated else declared.LABEL_OPTIONAL
            declared.type = _SCALARS.get(kind, declared.TYPE_MESSAGE)
            if kind not in _SCALARS:
                declared.type_name = f".{_PACKAGE}.{kind.removeprefix('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.CheckedExpr"))


_CheckedExpr = _declared()


def read_tree(serialized: bytes) -> Any:
    """The root `Expr` message of a CheckedExpr, serialized in a `google.protobuf.Any`.

    Raises InvalidExpression for a tree that is nested deeper than protobuf reads (100 messages).
    """
    try:
        return _CheckedExpr.FromString(any_pb2.Any.FromString(serialized).value).expr
    except DecodeError as error:
        raise InvalidExpression(
            "the expression is nested too deeply", expected="at most some 20 levels of calls and macros"
        ) from error


def kind(node: Any) -> str:
    """What an `Expr` is: the name of its only member."""
    return next((field.name for field, _ in node.ListFields()), "constant")


def count_nodes(tree: Any) -> int:
    """Messages of a tree, macros expanded."""
    waiting, count = [tree], 0
    while waiting:
        count += 1
        for field, value in waiting.pop().ListFields():
            if field.message_type is not None:
                waiting.extend(value if field.is_repeated else (value,))
    return count
