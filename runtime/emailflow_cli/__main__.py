"""`python -m emailflow_cli` is `emailflow`."""

from emailflow_cli.main import main

main()
