#!/usr/bin/env bash
# RAPP (Pethick, Xie, Cevher 2023): its table and figures. Finished runs are skipped, so this can be repeated.
#   scripts/rapp_2023.sh cpu|paper [more overrides, e.g. data_dir=DIR results_dir=DIR gpu.threads=1]
set -euo pipefail
scale=$1
shift
lookahead-bench -m experiment=rapp/table_cifar10_gan scale="$scale" "$@"
lookahead-bench figures games comonotonicity "$@"
