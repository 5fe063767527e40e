"""A template compiled for one locale: the dear work once, so that a mail costs a Jinja2 render.

Two ways lead to the same mail. Where Jinja2's tags can be protected, MJML and CSS are compiled once and
the text part is derived once, as a template. Where they can't be (`places`), Jinja2 runs first and the
rest follows for every mail. Pure: no limit on time or memory is kept here, only that on size.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from emailflow_api.plans import TemplatePlan
from emailflow_runtime.errors import RenderError
from emailflow_runtime.rendering import markdown, mjml, stylesheets
from emailflow_runtime.rendering.environment import HTML, TEXT, Source
from emailflow_runtime.rendering.errors import (
    InvalidHeader,
    TemplateForbidden,
    TemplateSyntaxError,
    TemplateTooLarge,
)
from emailflow_runtime.rendering.layout import as_document, escaped, with_preheader, within_layout
from emailflow_runtime.rendering.locales import Chosen, choose
from emailflow_runtime.rendering.places import around_rows, protected, survived
from emailflow_runtime.rendering.plain_text import tidy, to_text
from emailflow_runtime.rendering.rendered import MAX_HTML, MAX_SUBJECT, MAX_TEXT, Rendered
from emailflow_runtime.rendering.tags import map_literals, marked

_LINE_BREAKS = re.compile(r"\s*[\r\n]+\s*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_STATEMENT_LINES = re.compile(r"^[ \t]*(\{%[^\n]*?%\})[ \t]*\n", re.MULTILINE)

_Body = Callable[[dict[str, Any]], tuple[str, str]]
"""From a context to HTML and the text derived from it."""


class CompiledTemplate:
    """One template in one locale, ready to be rendered any number of times."""

    def __init__(self, template: TemplatePlan, locale: str) -> None:
        """Raises TemplateSyntaxError or TemplateForbidden, naming template and field."""
        self._name = f"{template.namespace}/{template.name}"
        self._chosen = choose(template, locale)
        try:
            self._compile(template)
        except RenderError as error:
            raise self._named(error) from error

    def _compile(self, template: TemplatePlan) -> None:
        chosen = self._chosen
        subject = map_literals(chosen.subject, lambda text: _LINE_BREAKS.sub(" ", text)).strip()
        self._subject = Source(subject, field="subject", environment=TEXT)
        preheader = chosen.preheader and escaped(chosen.preheader)
        markup = _Markup.of(template, chosen)
        try:
            self._body = _precompiled(markup, preheader) or _jinja_first(markup, preheader)
        except (TemplateSyntaxError, TemplateForbidden):
            Source(chosen.body, field="body", environment=HTML)  # where the line is the author's own
            Source(template.layout, field="layout", environment=HTML)
            raise
        self._headers = {
            name: Source(value, field=f"headers.{name}", environment=TEXT)
            for name, value in template.headers.items()
        }
        self._text = None
        if chosen.text:
            text = _STATEMENT_LINES.sub(r"\1", chosen.text)
            self._text = Source(text, field="text", environment=TEXT)

    def render(self, context: dict[str, Any], locale: str) -> Rendered:
        """The mail for that context of plain JSON values, and `locale`, which its filters go by.

        The author's line breaks in a subject become spaces; a control character that comes from a value
        (CR, LF and NUL among them) is refused as InvalidHeader: DESIGN section 9 keeps them out of
        headers, and a name with a line break in it is either an attack or a fault to be found.
        Raises RenderError.
        """
        names = {**context, "locale": locale}
        try:
            subject = _header("subject", self._subject.render(names))
            headers = {
                name: _header(f"headers.{name}", source.render(names))
                for name, source in self._headers.items()
            }
            body, derived = self._body(names)
            text = tidy(derived) if self._text is None else self._text.render(names).strip("\n")
            _check("body", body, MAX_HTML)
            _check("text", text, MAX_TEXT)
        except RenderError as error:
            raise self._named(error) from error
        return Rendered(
            subject=subject,
            html=body,
            text=text if text.strip() else subject,
            locale=self._chosen.locale,
            headers=headers,
        )

    def _named(self, error: RenderError) -> RenderError:
        return type(error)(f"template {self._name}: {error}")


class _Markup(NamedTuple):
    """The body's source, put together: one MJML or HTML document with Jinja2's tags in it."""

    source: str
    mjml: bool

    @classmethod
    def of(cls, template: TemplatePlan, chosen: Chosen) -> "_Markup":
        body, kind = chosen.body, chosen.format
        if kind == "markdown":
            body = markdown.to_html(body)
        if template.layout:
            if kind == "mjml" and template.layout_format != "mjml":
                raise TemplateSyntaxError(
                    f"layout: expected an MJML layout for an MJML body, not {template.layout_format}"
                )
            layout = template.layout
            if template.layout_format == "markdown":
                layout = markdown.to_html(layout)
            body = within_layout(body, layout)
            kind = template.layout_format
        if kind == "mjml":
            return cls(body, mjml=True)
        plain = kind == "markdown"
        document = as_document(body, subject=chosen.subject, locale=chosen.locale, plain=plain)
        return cls(document, mjml=False)

    def to_html(self, source: str) -> str:
        return mjml.to_html(source) if self.mjml else stylesheets.inlined(source)


def _precompiled(markup: _Markup, preheader: str) -> _Body | None:
    """The body with MJML and CSS done beforehand; None where that would change what comes out."""
    tags = marked(markup.source)
    source = protected(tags, mjml=markup.mjml)
    if source is None:
        return None
    document = _converted(markup, source)
    if document is None or not survived(tags, document):
        return None
    document = around_rows(tags, document)
    html_source, text_source = tags.restored(document), tags.restored(to_text(document, tags))
    if preheader:
        html_source = with_preheader(html_source, preheader)
    try:
        body = Source(html_source, field="body", environment=HTML)
        text = Source(text_source, field="body", environment=TEXT)
    except TemplateSyntaxError:
        return None
    return lambda context: (body.render(context), text.render(context))


def _converted(markup: _Markup, source: str) -> str | None:
    """The document, or None when it may be only the marks that MJML or CSS can't read."""
    try:
        return markup.to_html(source)
    except TemplateSyntaxError:
        return None


def _jinja_first(markup: _Markup, preheader: str) -> _Body:
    """The body with Jinja2 run first, then MJML, CSS and the text for each mail."""
    source = Source(markup.source, field="body", environment=HTML)
    hidden = Source(preheader, field="preheader", environment=HTML)

    def body(context: dict[str, Any]) -> tuple[str, str]:
        rendered = source.render(context)
        _check("body", rendered, MAX_HTML)
        try:
            document = markup.to_html(rendered)
        except TemplateSyntaxError:
            # The converter's own message quotes the document, and values are in it by now.
            kind = "MJML" if markup.mjml else "HTML and CSS"
            raise TemplateSyntaxError(
                f"body: expected {kind} that can be read once the values are in it"
            ) from None
        text = to_text(document)
        return (with_preheader(document, hidden.render(context)) if preheader else document), text

    return body


def _header(field: str, value: str) -> str:
    value = value.strip().replace("\t", " ")
    if _CONTROL.search(value):
        raise InvalidHeader(f"{field}: expected one line, a value has a line break or a control character")
    _check(field, value, MAX_SUBJECT)
    return value


def _check(field: str, value: str, limit: int) -> None:
    if len(value) > limit:
        raise TemplateTooLarge(f"{field}: expected at most {limit:,} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RenderError(f"{field}: expected Unicode text, not half of a surrogate pair") from None


def render(template: TemplatePlan, locale: str, context: dict[str, Any]) -> Rendered:
    """Compile and render once, as for a preview. Raises RenderError."""
    return CompiledTemplate(template, locale).render(context, locale)
