#!/usr/bin/env bash
# The searches of docs/results.md: nine optimizers, 20 trials each, ten fresh seeds of what each has chosen.
#   scripts/search.sh [more overrides, e.g. data_dir=DIR results_dir=DIR gpu.threads=1]
set -euo pipefail
for task in digits cifar10_cnn; do
  lookahead-bench -m experiment="search/$task" "$@"
done
