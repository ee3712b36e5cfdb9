#!/usr/bin/env bash
# CIFAR-10 at scale=cpu, round one of two: which rate does each family want? Finished runs are skipped, so this can be
# repeated, and several at once share the runs.
#   scripts/cifar_cpu.sh [more overrides, e.g. dataset=cifar100 data_dir=DIR results_dir=DIR gpu.threads=1]
# Round two is what each family has chosen, 10 epochs, five fresh seeds: experiment=cifar/final optimizer=NAME optimizer.lr=RATE
set -euo pipefail
run() { lookahead-bench -m experiment=cifar/screening "$@"; }
run "$@"
run optimizer=lookahead,multilayer optimizer.alpha=0.8 "$@"
run optimizer=adamw optimizer.lr=3e-4,1e-3,3e-3,1e-2 "$@"
run optimizer=sgd optimizer.lr=0.025 "$@" # its best was the least
