#!/usr/bin/env bash
# Lookahead (Zhang, Lucas, Hinton, Ba 2019): its tables and figures. Finished runs are skipped, so this can be repeated.
#   scripts/lookahead_2019.sh cpu|paper [more overrides, e.g. data_dir=DIR results_dir=DIR gpu.threads=1]
# paper needs a GPU for weeks; at cpu the ranges of scripts/cifar_cpu.sh and scripts/ptb.sh are what docs/results.md tells of.
set -euo pipefail
scale=$1
shift
for table in table_cifar10 table_cifar100 ablation_state robustness_lr robustness_momentum robustness_k_alpha table_ptb; do
  lookahead-bench -m experiment="lookahead/$table" scale="$scale" "$@"
done
lookahead-bench figures noisy_quadratic condition digits/inner_loop digits/momentum digits/grid digits/robustness "$@"
lookahead-bench figures digits/surface cifar/surface "$@"
