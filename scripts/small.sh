#!/usr/bin/env bash
# Small networks with many seeds, as in docs/results.md: rates on the digits. Finished runs are skipped.
#   scripts/small.sh [more overrides, e.g. results_dir=DIR gpu.threads=1]
set -euo pipefail
rates=0.003,0.0056,0.01,0.018,0.03,0.056,0.1,0.18,0.3,0.56,1.0,1.8
adam_rates=1e-4,1.8e-4,3e-4,5.6e-4,1e-3,1.8e-3,3e-3,5.6e-3,1e-2,1.8e-2,3e-2,5.6e-2,1e-1
run() { lookahead-bench -m experiment=small/digits_rates "$@"; }
run optimizer=sgd,lookahead,multilayer,polyak,ema optimizer.lr=$rates "$@"
run optimizer=adamw,radam,lookahead_adam,snoo optimizer.lr=$adam_rates "$@"
