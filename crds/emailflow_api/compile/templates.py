"""Templates: bodies found, layouts resolved, Jinja2 checked."""

from collections.abc import Iterator, Mapping

from emailflow_api import plans as p
from emailflow_api.compile import later
from emailflow_api.compile.addresses import addresses, mailbox
from emailflow_api.compile.documents import Held
from emailflow_api.compile.jinja import check_jinja, has_block
from emailflow_api.compile.report import Report
from emailflow_api.kinds import EmailTemplate
from emailflow_api.kinds.template import EmailTemplateSpec, Translation

FORMATS = ("mjml", "html", "markdown")
LARGEST_SOURCES = 512 * 1024
"""Bytes of all that is Jinja2 in one template, its layout among them: seconds of compiling, at worst."""


class TemplateCompiler:
    """Compiles the templates of all namespaces."""

    def __init__(self, templates: Mapping[str, EmailTemplate], files: Held, shared: str) -> None:
        """`templates` by `namespace/name`; `shared` is the runtime's namespace, where layouts may be."""
        self._templates = templates
        self._files = files
        self._shared = shared

    def compile(self, report: Report, template: EmailTemplate) -> p.TemplatePlan:
        """The plan; what is wrong is in the report."""
        spec, namespace = template.spec, template.namespace
        later.check(report, later.TEMPLATE, spec)
        form, body = self._body(report, "spec", namespace, spec)
        layout_form, layout = self._layout(report, template)
        locales = tuple(self._locale(report, namespace, i, each) for i, each in enumerate(spec.locales))
        if layout:
            _check_formats(report, layout_form, {form, *(each.format for each in locales)})
        plan = p.TemplatePlan(
            namespace=namespace,
            name=template.name,
            subject=spec.subject,
            format=form,
            body=body,
            preheader=spec.preheader or "",
            text=spec.text or "",
            layout_format=layout_form,
            layout=layout,
            locales=locales,
            sender=mailbox(report, "spec.from", spec.from_),
            reply_to=addresses(report, "spec.replyTo", spec.reply_to),
            headers=dict(spec.headers),
            track_opens=spec.tracking.opens if spec.tracking else None,
            track_clicks=spec.tracking.clicks if spec.tracking else None,
        )
        sources = dict(_sources(plan, spec))
        if _is_small(report, sources, layout):  # nothing is parsed before
            for path, source in sources.items():
                check_jinja(report, path, source)
            if spec.layout_ref and layout_form and not has_block(layout, "content"):
                message = f"{spec.layout_ref.name} has no place for a body"
                expected = "`{% block content %}{% endblock %}` in its body"
                report.error("NotALayout", "spec.layoutRef.name", message, expected)
        return plan

    def _locale(self, report: Report, namespace: str, index: int, declared: Translation) -> p.LocalizedBody:
        form, body = self._body(report, f"spec.locales[{index}]", namespace, declared)
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
        """Format and source; empty when a translation has no body."""
        if spec.body_from is not None:
            return spec.body_from.format, self._file(report, f"{path}.bodyFrom", namespace, spec)
        form = next((form for form in FORMATS if getattr(spec, form) is not None), "")
        return form, getattr(spec, form) if form else ""

    def _file(self, report: Report, path: str, namespace: str, spec: EmailTemplateSpec | Translation) -> str:
        if spec.body_from is None:
            return ""
        reference = spec.body_from.config_map_key_ref
        found = self._files.get((namespace, reference.name), {}).get(reference.key)
        if found is None:
            report.error(
                "ConfigMapNotFound",
                f"{path}.configMapKeyRef",
                f"there is no ConfigMap {namespace}/{reference.name} with the key `{reference.key}`",
            )
            return ""
        return found.decode(errors="replace")

    def _layout(self, report: Report, template: EmailTemplate) -> tuple[str, str]:
        """Format and source of the layout, in the template's own namespace, else in the runtime's."""
        reference = template.spec.layout_ref
        if reference is None:
            return "", ""
        names = (f"{template.namespace}/{reference.name}", f"{self._shared}/{reference.name}")
        found = next((self._templates[name] for name in names if name in self._templates), None)
        path = "spec.layoutRef.name"
        if found is None:
            wanted = "` or `".join(dict.fromkeys(names))
            report.error("LayoutNotFound", path, f"there is no usable EmailTemplate `{wanted}`")
            return "", ""
        if found.spec.layout_ref is not None:
            message = f"{found.name} has a layout itself"
            report.error("NotALayout", path, message, "a template without `layoutRef`")
            return "", ""
        return self._body(Report(report.subject), "", found.namespace, found.spec)


def _sources(plan: p.TemplatePlan, spec: EmailTemplateSpec) -> Iterator[tuple[str, str]]:
    """Path and text of everything that is Jinja2, the layout left out."""
    yield from _pieces("spec", spec, plan.body)
    for index, (declared, made) in enumerate(zip(spec.locales, plan.locales, strict=True)):
        yield from _pieces(f"spec.locales[{index}]", declared, made.body)
    for name, value in spec.headers.items():
        yield f'spec.headers["{name}"]', value


def _pieces(path: str, spec: EmailTemplateSpec | Translation, body: str) -> Iterator[tuple[str, str]]:
    member = next((form for form in FORMATS if getattr(spec, form) is not None), "bodyFrom")
    pieces = {"subject": spec.subject, "preheader": spec.preheader, member: body, "text": spec.text}
    return ((f"{path}.{name}", text) for name, text in pieces.items() if text)


def _is_small(report: Report, sources: Mapping[str, str], layout: str) -> bool:
    """Report sources that are too large together, at the largest of them."""
    sizes = {path: len(text.encode()) for path, text in {**sources, "spec.layoutRef.name": layout}.items()}
    if (size := sum(sizes.values())) <= LARGEST_SOURCES:
        return True
    message = f"subjects, bodies, texts, headers and layout are {size:,} bytes together"
    report.error("TooLarge", max(sizes, key=sizes.__getitem__), message, f"at most {LARGEST_SOURCES:,}")
    return False


def _check_formats(report: Report, layout: str, bodies: set[str]) -> None:
    """An MJML body is made of MJML's own elements, which only an MJML layout can hold."""
    if layout != "mjml" and "mjml" in bodies:
        report.error(
            "NotALayout", "spec.layoutRef.name", f"the body is mjml, but the layout is {layout}", "mjml"
        )
