"""`emailflow inject -f FILE`: what the injector does to pods in a cluster, done to manifests."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def inject(
    file: Annotated[
        str, typer.Option("--filename", "-f", help="A file of manifests, or - for standard input.")
    ],
    image: Annotated[str, typer.Option(envvar="EMAILFLOW_IMAGE", help="The sidecar's image.")],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Where manifests without a namespace go.")
    ] = "default",
) -> None:
    """Add the sidecar to pods and pod templates that ask for it; the result goes to standard output.

    Exits with 1 when the manifests can't be read, or a pod's wishes can't be met.
    """
    from emailflow_api.errors import ApiError
    from emailflow_operator.errors import OperatorError
    from emailflow_operator.injection import Injector, SidecarSettings
    from emailflow_operator.injection.manifests import inject_manifests

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        made = inject_manifests(text, file, Injector(SidecarSettings(image=image)), namespace)
    except (ApiError, OperatorError) as error:
        print(f"error: {error} [{error.reason}]", file=sys.stderr)
        raise typer.Exit(1) from None
    except (OSError, UnicodeDecodeError) as error:
        print(f"error: {file}: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    for warning in made.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    sys.stdout.write(made.text)
