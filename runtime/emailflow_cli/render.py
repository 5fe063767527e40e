"""`emailflow render TEMPLATE`: one template with its sample data, as a mail would show it."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from emailflow_cli.findings import has_errors, print_findings
from emailflow_cli.samples import sample_context


class Part(StrEnum):
    """What to print."""

    ALL = "all"
    SUBJECT = "subject"
    TEXT = "text"
    HTML = "html"


def render(
    template: Annotated[str, typer.Argument(help="The template's name, or namespace/name.")],
    path: Annotated[
        Path, typer.Option("--path", "-p", exists=True, help="A folder of manifests, or one file.")
    ] = Path(),
    locale: Annotated[str, typer.Option(help="In this language; else the sample contact's.")] = "",
    part: Annotated[Part, typer.Option(help="What to print.")] = Part.ALL,
) -> None:
    """Render an EmailTemplate with its `sample`. Exits with 1 when it can't be rendered."""
    from emailflow_runtime.errors import RenderError
    from emailflow_runtime.rendering.compiled import render as render_template
    from emailflow_runtime.wiring.folder import compile_folder

    compilation, findings = compile_folder(path)
    name = template if "/" in template else f"default/{template}"
    plan = compilation.plans.templates.get(name)
    if plan is None:
        about = [each for each in findings if each.subject.endswith(f"/{name}")]
        print_findings(about if has_errors(about) else findings)
        known = ", ".join(sorted(compilation.plans.templates)) or "none"
        print(f"error: there is no template {name} (there is: {known})", file=sys.stderr)
        raise typer.Exit(1)
    context = sample_context(compilation.samples.get(name, {}))
    try:
        rendered = render_template(plan, locale or context["contact"]["locale"] or "en", context)
    except RenderError as error:
        print(f"error: {error} [{error.reason}]", file=sys.stderr)
        raise typer.Exit(1) from error
    if part in (Part.ALL, Part.SUBJECT):
        print(f"Subject: {rendered.subject}" if part is Part.ALL else rendered.subject)
    if part in (Part.ALL, Part.TEXT):
        print(rendered.text)
    if part in (Part.ALL, Part.HTML):
        print(rendered.html)
