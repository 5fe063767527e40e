"""Compile: resources to plans, pure. All that is wrong is said at once, each with path and expectation.

An object with an error is left out, and so is what depends on it; everything else is compiled all the
same. Operator, `emailflow dev` and `emailflow lint` call this and nothing else.
"""

from emailflow_api.compile.compilation import Compilation, compile_resources

__all__ = ["Compilation", "compile_resources"]
