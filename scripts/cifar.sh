#!/usr/bin/env bash
# The CIFAR tables of Lookahead 2019 and Multilayer Lookahead 2021. Finished runs are skipped, so this can be repeated.
#   scripts/cifar.sh [scale=cpu|paper] [more overrides, e.g. data_dir=DIR results_dir=DIR]
set -euo pipefail
for table in lookahead/table_cifar10 lookahead/table_cifar100 multilayer/table_cifar10 multilayer/table_cifar100; do
  lookahead-bench -m experiment="$table" "$@"
done
