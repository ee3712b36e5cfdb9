#!/usr/bin/env bash
# Penn Treebank at scale=cpu, as in docs/results.md. Finished runs are skipped, so this can be repeated.
#   scripts/ptb.sh [more overrides, e.g. data_dir=DIR results_dir=DIR gpu.threads=1]
# The rates that the first three sweeps chose are in conf/tuned/ptb/cpu.
set -euo pipefail
lookahead-bench -m experiment=lookahead/ptb_rates optimizer=sgd,lookahead optimizer.lr=5,10,20,40,80,160 "$@"
lookahead-bench -m experiment=lookahead/ptb_rates optimizer.lr=1e-3,2e-3,4e-3,8e-3,16e-3 "$@"
lookahead-bench -m experiment=lookahead/ptb_rates optimizer=lookahead_adam optimizer.lr=32e-3,64e-3 "$@"
lookahead-bench -m experiment=lookahead/table_ptb epochs=5 \
  optimizer=sgd,adam,lookahead,lookahead_adam,multilayer_adam "$@"
