"""`emailflow lint PATH`: everything that admission and the operator would say, offline."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from emailflow_cli.findings import has_errors, print_findings


def lint(
    path: Annotated[Path, typer.Argument(exists=True, help="A folder of manifests, or one file.")],
    strict: Annotated[bool, typer.Option(help="Warnings count as errors.")] = False,
) -> None:
    """Check manifests. Exits with 1 when there is an error."""
    from emailflow_runtime.wiring.folder import compile_folder

    compilation, findings = compile_folder(path)
    print_findings(findings)
    if has_errors(findings) or (strict and findings):
        raise typer.Exit(1)
    plans = compilation.plans
    print(f"{path}: {len(plans.flows)} flows, {len(plans.templates)} templates: fine", file=sys.stdout)
