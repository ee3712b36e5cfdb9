#!/usr/bin/env bash
# CIFAR at scale=cpu in two rounds, as in docs/results.md. Finished runs are skipped, so this can be repeated.
#   scripts/cifar_cpu.sh screening|final [more overrides, e.g. dataset=cifar100 data_dir=DIR results_dir=DIR gpu.threads=1]
# Several of these at once share the runs. Round two has what round one has chosen on CIFAR-10.
set -euo pipefail
round=$1
shift
run() { lookahead-bench -m experiment="cifar/$round" "$@"; }
case $round in
  screening)
    run "$@"
    run optimizer=lookahead,multilayer optimizer.alpha=0.8 "$@"
    run optimizer=adamw optimizer.lr=3e-4,1e-3,3e-3,1e-2 "$@"
    ;;
  final)
    run optimizer=sgd optimizer.lr=0.1 "$@"
    ;;
  *)
    echo "$0: screening or final, not $round" >&2
    exit 2
    ;;
esac
