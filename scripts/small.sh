#!/usr/bin/env bash
# Small networks with many seeds, as in docs/results.md: rates, k by alpha, and the momentum at a sync. Finished runs are
# skipped, so this can be repeated.
#   scripts/small.sh digits|cnn [more overrides, e.g. data_dir=DIR results_dir=DIR gpu.threads=1]
set -euo pipefail
task=$1
shift
case $task in
  digits)
    adam_rates=1e-4,1.8e-4,3e-4,5.6e-4,1e-3,1.8e-3,3e-3,5.6e-3,1e-2,1.8e-2,3e-2,5.6e-2,1e-1
    rate=0.3
    ;;
  cnn)
    adam_rates=1e-3,2e-3,4e-3,8e-3,16e-3,32e-3
    rate=0.05
    ;;
  *)
    echo "$0: digits or cnn, not $task" >&2
    exit 2
    ;;
esac
run() { lookahead-bench -m experiment="small/$task" "$@"; }
run optimizer=sgd,lookahead,multilayer,polyak,ema "$@"
run optimizer=adamw,radam,lookahead_adam,snoo optimizer.lr="$adam_rates" "$@"
run optimizer=lookahead optimizer.lr="$rate" optimizer.k=5,10,20 optimizer.alpha=0.2,0.5,0.8,1.0 "$@"
run optimizer=lookahead optimizer.pullback=pullback,reset "$@"
