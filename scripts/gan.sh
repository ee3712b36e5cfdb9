#!/usr/bin/env bash
# The GAN tables and figures of docs/results.md. Finished runs are skipped, so this can be repeated.
#   scripts/gan.sh [more overrides, e.g. data_dir=DIR results_dir=DIR]
# The rates that the first two sweeps chose are in conf/tuned/{mnist_gan,gaussians_gan}/cpu.
set -euo pipefail
for sweep in gan/mnist_rates gan/ring_rates gan/mnist/methods gan/ring/pictures gan/ring/replicas; do
  lookahead-bench -m experiment="$sweep" "$@"
done
lookahead-bench figures gan/mnist gan/ring "$@"
