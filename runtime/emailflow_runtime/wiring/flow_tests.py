"""FlowTests of a folder, judged: whether each can be read, and is about a flow that there is. None is run."""

from difflib import get_close_matches
from pathlib import Path

from emailflow_api.compile.report import Report
from emailflow_api.errors import Finding
from emailflow_api.kinds import FlowTest, InvalidResource, parse
from emailflow_api.plans import Plans
from emailflow_runtime.wiring.folder import TESTS, read_folder


def check_flow_tests(path: Path, plans: Plans) -> tuple[int, list[Finding]]:
    """How many FlowTests the folder has, wherever they stand, and what is wrong with them."""
    documents, findings = read_folder(path, tests=True) if path.is_dir() else ([], [])
    beside = [each for each in read_folder(path)[0] if each.kind == FlowTest.__name__]
    flows = {flow.name for flow in plans.flows.values()}
    sound = 0
    for document in (*documents, *beside):
        report = Report(document.subject)
        try:
            test = parse(document.value)
        except InvalidResource as invalid:
            # What stands beside manifests is compiled with them, so it was told already.
            told = invalid.findings if document in documents else ()
            findings += [each._replace(position=document.position) for each in told]
            continue
        if not isinstance(test, FlowTest):
            message = f"a {document.kind} in a folder `{TESTS}` is not applied"
            report.error("UnknownKind", "kind", message, "FlowTest")
        elif test.spec.flow not in flows:
            message = f"there is no usable EmailFlow `{test.spec.flow}`"
            close = get_close_matches(test.spec.flow, flows, n=1)
            report.error("FlowNotFound", "spec.flow", message, *close)
        findings += [each._replace(position=document.position) for each in report.findings]
        sound += not report.failed
    return sound, findings
