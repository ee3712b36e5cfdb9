"""`python -m lookahead_bench` is `lookahead-bench`."""

from lookahead_bench.cli import main

main()
