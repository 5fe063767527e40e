"""The sandbox that templates run in: Jinja2's immutable one, stricter and quicker on plain data.

A template sees its context and nothing else: no environment, no files, no other templates, no
randomness. The sandbox is no limit on time and memory; those are the worker's (DESIGN section 9).
"""

from collections.abc import Callable
from typing import Any

import jinja2
import jinja2.nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from emailflow_runtime.rendering.errors import TemplateForbidden
from emailflow_runtime.rendering.explaining import explained
from emailflow_runtime.rendering.filters import FILTERS

_GLOBALS = ("range", "dict", "namespace")
"""`lipsum`, `cycler` and `joiner` are left out: no mail needs them, and attacks start from them."""

_REMOVED_FILTERS = ("attr", "xmlattr", "random", "pprint")
"""`attr` reaches around the lookup below (CVE-2025-27516), `xmlattr` lets keys in as attribute names
(CVE-2024-22195, CVE-2024-34064), `random` would make two renders of one mail differ."""

_MAPPING_METHODS = frozenset({"items", "keys", "values", "get"})


class Missing(jinja2.StrictUndefined):
    """A name that the context does not have. Anything but asking whether it is defined raises."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        return f"{self._undefined_name!r} is undefined"


class MissingOrMethod(Missing):
    """`mapping.items` where the data has no such key: undefined as a value, callable as the method."""

    __slots__ = ("_method",)
    jinja_pass_arg = None
    unsafe_callable = False
    alters_data = False

    def __init__(self, method: Callable[..., Any], name: str) -> None:
        super().__init__(name=name)
        self._method = method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._method(*args, **kwargs)


class MailEnvironment(ImmutableSandboxedEnvironment):
    """Looks for the item of a dict first and never for its attributes, four methods excepted.

    So `event.data.items` is the data's, no attribute of a dict is in reach, and a lookup costs half.
    Every other object goes the sandbox's own way.
    """

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(autoescape=autoescape, undefined=Missing, keep_trailing_newline=True)
        self.globals = {name: self.globals[name] for name in _GLOBALS}
        for name in _REMOVED_FILTERS:
            del self.filters[name]
        self.filters.update(FILTERS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute` of a template."""
        if type(obj) is not dict:
            return super().getattr(obj, attribute)
        if attribute in obj:
            return obj[attribute]
        if attribute in _MAPPING_METHODS:
            return MissingOrMethod(getattr(obj, attribute), attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]` of a template."""
        if type(obj) is not dict:
            return super().getitem(obj, argument)
        try:
            return obj[argument]
        except (KeyError, TypeError):
            return self.undefined(obj=obj, name=argument)


HTML = MailEnvironment(autoescape=True)
"""For bodies and whatever else ends up in HTML."""

TEXT = MailEnvironment(autoescape=False)
"""For subjects and texts, where `safe` has no markup to keep and takes the tags away."""
TEXT.filters["safe"] = TEXT.filters["striptags"]

_FORBIDDEN_TAGS: tuple[type[jinja2.nodes.Stmt], ...] = (
    jinja2.nodes.Extends,
    jinja2.nodes.Include,
    jinja2.nodes.Import,
    jinja2.nodes.FromImport,
)


class Source:
    """One compiled Jinja2 template and what it belongs to (`field`, for messages)."""

    def __init__(self, text: str, *, field: str, environment: MailEnvironment) -> None:
        """Raises TemplateSyntaxError, or TemplateForbidden for a tag that would load another template."""
        self._field = field
        self._environment = environment
        self._text = text
        self._template = self._compiled()

    def _parsed(self) -> jinja2.nodes.Template:
        return self._environment.parse(self._text)

    def _compiled(self) -> jinja2.Template:
        try:
            tree = self._parsed()
            if (tag := next(tree.find_all(_FORBIDDEN_TAGS), None)) is not None:
                name = type(tag).__name__.lower().replace("fromimport", "import")
                raise TemplateForbidden(
                    f"{self._field}: line {tag.lineno}: `{name}` is not available; use `layoutRef`"
                )
            return self._environment.from_string(tree)
        except (jinja2.TemplateError, RecursionError, MemoryError, ValueError) as error:
            raise explained(error, field=self._field) from error

    def render(self, context: dict[str, Any]) -> str:
        """Raises RenderError for whatever the template does wrong."""
        try:
            return self._template.render(context)
        except Exception as error:
            named = isinstance(error, jinja2.UndefinedError | SecurityError)
            raise explained(error, field=self._field, tree=self._parsed() if named else None) from error
