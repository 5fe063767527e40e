"""What the operator's own process does without: what only its children compile with."""

import subprocess
import sys

COMPILERS = ("emailflow_api.compile", "jinja2", "cel_expr_python", "jsonschema_rs")


def test_the_operators_own_process_holds_no_compiler() -> None:
    program = f"""
import sys
import emailflow_operator.wiring.process
print(*[each for each in {COMPILERS!r} if each in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
