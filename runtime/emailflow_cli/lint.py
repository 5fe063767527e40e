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
    """Check manifests as a cluster would, FlowTests, and each template with its `sample`. Exits with 1 when
    there is an error."""
    from emailflow_cli.samples import render_samples
    from emailflow_runtime.wiring.flow_tests import check_flow_tests
    from emailflow_runtime.wiring.folder import compile_folder

    compilation, findings = compile_folder(path, for_cluster=True)
    tests, faults = check_flow_tests(path, compilation.plans)
    findings += [*faults, *render_samples(compilation)]
    print_findings(findings)
    if has_errors(findings) or (strict and findings):
        raise typer.Exit(1)
    plans = compilation.plans
    counted = f"{len(plans.flows)} flows, {len(plans.templates)} templates"
    counted += f", {tests} FlowTests (read, not run)" if tests else ""
    print(f"{path}: {counted}: fine", file=sys.stdout)
