"""`kubectl emailflow`: what a cluster's EmailFlow objects say, and what can be done about them.

It talks to the cluster through kubectl alone; what needs NATS runs inside a runtime's pod, with the pod's own
credentials, so that none leave the cluster.
"""

import asyncio
import json
import os
import secrets
import sys
from typing import Annotated, Any

import typer

from emailflow_api.kinds import GROUP, RESOURCES
from emailflow_api.pod_settings import EVENTS_PORT, audience
from emailflow_cli.kubectl import Context, Kubeconfig, Kubectl, KubectlFailed, Namespace, RuntimePods
from emailflow_cli.output import Format, Output, fail, print_rows
from emailflow_cli.send_event import post

COLUMNS = ("namespace", "kind", "name", "ready", "reason", "counts", "message")
SUSPENDABLE = {"emailflow": "emailflows", "emailprovider": "emailproviders", "emailruntime": "emailruntimes"}

plugin = typer.Typer(
    name="kubectl emailflow",
    help="What EmailFlow does in this cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
events = typer.Typer(no_args_is_help=True, help="Events for a runtime.")
plugin.add_typer(events, name="events")

Name = Annotated[str, typer.Option("--runtime", help="The EmailRuntime.")]
Target = Annotated[str, typer.Argument(metavar="[KIND/]NAME", help="An EmailFlow, or emailprovider/ses.")]
INSIDE = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["--plugin-help"]}


@plugin.command()
def status(
    namespace: Namespace = "",
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="In all namespaces.")] = False,
    output: Output = Format.TABLE,
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """How every EmailFlow object stands: its Ready condition, and counts."""
    kinds = ",".join(f"{resource.definition.plural}.{GROUP}" for resource in RESOURCES.values())
    where = ["--all-namespaces"] if everywhere else []
    try:
        found = Kubectl(namespace, context, kubeconfig).get(kinds, *where)
    except KubectlFailed as error:
        raise fail(error) from error
    rows = [row(each) for each in found]
    order = list(RESOURCES)
    rows.sort(key=lambda each: (each["namespace"], order.index(each["kind"]), each["name"]))
    print_rows(rows, COLUMNS, output)


def row(value: dict[str, Any]) -> dict[str, Any]:
    """One object as a row; JSON and YAML have its whole status too."""
    said: dict[str, Any] = value.get("status") or {}
    conditions = {each["type"]: each for each in said.get("conditions", [])}
    ready = conditions.get("Ready", {})
    return {
        "namespace": value["metadata"]["namespace"],
        "kind": value["kind"],
        "name": value["metadata"]["name"],
        "ready": ready.get("status", "Unknown"),
        "reason": "Suspended" if value["spec"].get("suspend") else ready.get("reason", "NotSeenYet"),
        "counts": counts(said),
        "message": ready.get("message", ""),
        "status": said,
    }


def counts(said: dict[str, Any]) -> str:
    """The counts of a status in words."""
    words = {"journeys": "journeys", "pendingEvents": "pending", "behindRetention": "lost", "flows": "flows"}
    found = [f"{said[name]} {word}" for name, word in words.items() if said.get(name)]
    if "replicas" in said:
        found.append(f"{said.get('readyReplicas', 0)}/{said['replicas']} pods")
    return ", ".join(found)


@plugin.command()
def suspend(
    target: Target, namespace: Namespace = "", context: Context = "", kubeconfig: Kubeconfig = ""
) -> None:
    """Hold entries, timers and sends: sets spec.suspend."""
    _suspend(Kubectl(namespace, context, kubeconfig), target, suspended=True)


@plugin.command()
def resume(
    target: Target, namespace: Namespace = "", context: Context = "", kubeconfig: Kubeconfig = ""
) -> None:
    """Let go on what was suspended. What is later than its maxLateness is skipped."""
    _suspend(Kubectl(namespace, context, kubeconfig), target, suspended=False)


def _suspend(kubectl: Kubectl, target: str, *, suspended: bool) -> None:
    kind, _, name = target.rpartition("/")
    plural = SUSPENDABLE.get((kind or "emailflow").lower().removesuffix("s"))
    if plural is None or not name:
        raise typer.BadParameter(f"KIND: expected one of {', '.join(SUSPENDABLE)}")
    patch = json.dumps({"spec": {"suspend": suspended}})
    try:
        kubectl.ask("patch", f"{plural}.{GROUP}", name, "--type=merge", f"--patch={patch}")
    except KubectlFailed as error:
        raise fail(error) from error
    print(f"{plural.removesuffix('s')}/{name} {'suspended' if suspended else 'resumed'}")


@plugin.command()
def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    since: Annotated[str, typer.Option(help="As kubectl logs has it: 5m, 2h.")] = "",
    tail: Annotated[int, typer.Option(help="Lines of each pod; -1 for all.")] = 200,
    runtime: Name = "default",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """The logs of all pods of a runtime."""
    pods = RuntimePods(Kubectl(namespace, context, kubeconfig), runtime)
    options = [f"--selector={pods.selector}", "--prefix", f"--tail={tail}", "--max-log-requests=100"]
    options += ["--follow"] if follow else []
    options += [f"--since={since}"] if since else []
    _end_as(lambda: pods.kubectl.hand_over("logs", *options))


@plugin.command("dead-letters", context_settings=INSIDE)
def dead_letters(
    ctx: typer.Context,
    runtime: Name = "default",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """`emailflow dead-letters …`, inside a pod of the runtime."""
    pods = RuntimePods(Kubectl(namespace, context, kubeconfig), runtime)
    _end_as(lambda: pods.run(["dead-letters", *ctx.args]))


@plugin.command(context_settings=INSIDE)
def replay(
    ctx: typer.Context,
    runtime: Name = "default",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """`emailflow replay …`, inside a pod of the runtime."""
    pods = RuntimePods(Kubectl(namespace, context, kubeconfig), runtime)
    _end_as(lambda: pods.run(["replay", *ctx.args]))


@plugin.command(context_settings=INSIDE)
def why(
    ctx: typer.Context,
    runtime: Name = "default",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """`emailflow why …`, inside a pod of the runtime."""
    pods = RuntimePods(Kubectl(namespace, context, kubeconfig), runtime)
    _end_as(lambda: pods.run(["why", *ctx.args]))


@events.command("send")
def send(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="The CloudEvents type.")],
    data: Annotated[str, typer.Option("--data", "-d", help="JSON data, or - for standard input.")] = "{}",
    source: Annotated[str, typer.Option(help="The CloudEvents source.")] = "/emailflow/kubectl",
    event_id: Annotated[str, typer.Option("--id", help="The CloudEvents id; else a new one.")] = "",
    subject: Annotated[str, typer.Option(help="The CloudEvents subject.")] = "",
    account: Annotated[
        str, typer.Option("--service-account", help="Send as this ServiceAccount of the namespace.")
    ] = "",
    runtime: Name = "default",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Send one event to a runtime's receiver, through a forwarded port.

    The receiver's token comes from EMAILFLOW_TOKEN, or is made for --service-account.
    """
    text = sys.stdin.read() if data == "-" else data
    try:
        body = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"--data: expected JSON: {error}") from error
    attributes = {"type": event_type, "source": source, "id": event_id or secrets.token_hex(8)}
    if subject:
        attributes["subject"] = subject
    kubectl = Kubectl(namespace, context, kubeconfig)
    try:
        status, answer = _sent(kubectl, runtime, account, attributes, body)
    except KubectlFailed as error:
        raise fail(error) from error
    if status != 202:
        print(f"error: {status}: {answer}", file=sys.stderr)
        raise typer.Exit(1)
    print(f"accepted {attributes['id']}")


def _sent(
    kubectl: Kubectl, runtime: str, account: str, attributes: dict[str, str], body: Any
) -> tuple[int, str]:
    """The status and the words that the receiver answers. Raises KubectlFailed."""
    token = os.environ.get("EMAILFLOW_TOKEN", "")
    namespace, pod = RuntimePods(kubectl, runtime).one_with_namespace()
    if account:
        token = kubectl.ask("create", "token", account, f"--audience={audience(namespace, runtime)}").strip()
    with kubectl.forwarded(f"pod/{pod}", EVENTS_PORT) as port:
        return asyncio.run(post(f"http://127.0.0.1:{port}/events", attributes, body, token))


def _end_as(run: Any) -> None:
    """End as kubectl has ended."""
    try:
        code = run()
    except KubectlFailed as error:
        raise fail(error) from error
    raise typer.Exit(code)


def main() -> None:
    """The console script `kubectl-emailflow`."""
    plugin()
