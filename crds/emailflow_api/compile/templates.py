"""Templates: bodies found, layouts resolved, Jinja2 checked."""

from collections.abc import Mapping

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from emailflow_api import plans as p
from emailflow_api.compile.report import Report
from emailflow_api.compile.steps import address
from emailflow_api.kinds import EmailTemplate
from emailflow_api.kinds.template import EmailTemplateSpec, Translation

Files = Mapping[tuple[str, str], Mapping[str, bytes]]
FORMATS = ("mjml", "html", "markdown")
OWN_FILTERS = ("datetime", "date", "number", "money")
"""Filters that rendering adds to Jinja2's (a test compares)."""

_jinja = ImmutableSandboxedEnvironment()
_jinja.filters.update(dict.fromkeys(OWN_FILTERS, str))
for _removed in ("attr", "xmlattr", "random", "pprint"):
    _jinja.filters.pop(_removed)
_OUTSIDE = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)


class TemplateCompiler:
    """Compiles the templates of all namespaces."""

    def __init__(self, templates: Mapping[str, EmailTemplate], files: Files, shared: str) -> None:
        """`templates` by `namespace/name`; `shared` is the runtime's namespace, where layouts may be."""
        self._templates = templates
        self._files = files
        self._shared = shared

    def compile(self, report: Report, template: EmailTemplate) -> p.TemplatePlan:
        """The plan; what is wrong is in the report."""
        spec, namespace = template.spec, template.namespace
        form, body = self._body(report, "spec", namespace, spec)
        layout_form, layout = self._layout(report, template)
        self._check(report, "spec", spec, body, form)
        return p.TemplatePlan(
            namespace=namespace,
            name=template.name,
            subject=spec.subject,
            format=form,
            body=body,
            preheader=spec.preheader or "",
            text=spec.text or "",
            layout_format=layout_form,
            layout=layout,
            locales=tuple(self._locale(report, namespace, i, each) for i, each in enumerate(spec.locales)),
            sender=address(spec.from_),
            reply_to=tuple(spec.reply_to),
            headers=dict(spec.headers),
            track_opens=spec.tracking.opens if spec.tracking else None,
            track_clicks=spec.tracking.clicks if spec.tracking else None,
        )

    def _locale(self, report: Report, namespace: str, index: int, declared: Translation) -> p.LocalizedBody:
        path = f"spec.locales[{index}]"
        form, body = self._body(report, path, namespace, declared)
        self._check(report, path, declared, body, form)
        return p.LocalizedBody(
            locale=declared.locale,
            subject=declared.subject or "",
            preheader=declared.preheader or "",
            format=form,
            body=body,
            text=declared.text or "",
        )

    def _body(
        self, report: Report, path: str, namespace: str, spec: EmailTemplateSpec | Translation
    ) -> tuple[str, str]:
        """Format and source; empty when a translation has no body of its own."""
        for form in FORMATS:
            if (source := getattr(spec, form)) is not None:
                return form, source
        if spec.body_from is None:
            return "", ""
        reference = spec.body_from.config_map_key_ref
        found = self._files.get((namespace, reference.name), {}).get(reference.key)
        if found is None:
            name = f"{namespace}/{reference.name}"
            report.error(
                "ConfigMapNotFound",
                f"{path}.bodyFrom.configMapKeyRef",
                f"there is no ConfigMap {name} with the key {reference.key}",
            )
            return spec.body_from.format, ""
        return spec.body_from.format, found.decode(errors="replace")

    def _layout(self, report: Report, template: EmailTemplate) -> tuple[str, str]:
        reference = template.spec.layout_ref
        if reference is None:
            return "", ""
        names = (f"{template.namespace}/{reference.name}", f"{self._shared}/{reference.name}")
        found = next((self._templates[name] for name in names if name in self._templates), None)
        if found is None:
            report.error(
                "LayoutNotFound",
                "spec.layoutRef.name",
                f"there is no EmailTemplate {names[0]} to be the layout",
            )
            return "", ""
        form, source = self._body(report, "spec.layoutRef", found.namespace, found.spec)
        if "block content" not in source:
            report.error(
                "NotALayout",
                "spec.layoutRef.name",
                f"{found.name} has no place for a body",
                "`{% block content %}{% endblock %}` in its body",
            )
        return form, source

    def _check(
        self, report: Report, path: str, spec: EmailTemplateSpec | Translation, body: str, form: str
    ) -> None:
        """Jinja2's own check of every piece."""
        pieces = {"subject": spec.subject, "preheader": spec.preheader, "text": spec.text}
        pieces[form if spec.body_from is None else "bodyFrom"] = body
        for member, source in pieces.items():
            if source:
                _check_syntax(report, f"{path}.{member}", source)


def _check_syntax(report: Report, path: str, source: str) -> None:
    """Parsing only: generating code would compute constants, which may be bombs."""
    try:
        tree = _jinja.parse(source)
    except TemplateSyntaxError as error:
        report.error("TemplateSyntaxError", path, f"line {error.lineno}: {error.message}", "Jinja2")
        return
    except RecursionError:
        report.error("TemplateSyntaxError", path, "is nested too deeply", "Jinja2")
        return
    for outside in tree.find_all(_OUTSIDE):
        message = f"line {outside.lineno}: a template can't take in others"
        report.error("TemplateForbidden", path, message, "`layoutRef`")
    for used in tree.find_all(nodes.Filter):
        if used.name not in _jinja.filters:
            report.error("TemplateSyntaxError", path, f"line {used.lineno}: no filter named {used.name}")
    for test in tree.find_all(nodes.Test):
        if test.name not in _jinja.tests:
            report.error("TemplateSyntaxError", path, f"line {test.lineno}: no test named {test.name}")
