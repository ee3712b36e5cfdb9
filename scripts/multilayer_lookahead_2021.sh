#!/usr/bin/env bash
# Multilayer Lookahead (Pushkin, Barba 2021): its tables and figures. Finished runs are skipped, so this can be repeated.
#   scripts/multilayer_lookahead_2021.sh cpu|paper [more overrides, e.g. data_dir=DIR results_dir=DIR gpu.threads=1]
set -euo pipefail
scale=$1
shift
for table in table_cifar10 table_cifar100; do
  lookahead-bench -m experiment="multilayer/$table" scale="$scale" "$@"
done
lookahead-bench figures multilayer gan/mnist "$@"
