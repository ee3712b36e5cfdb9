#!/usr/bin/env bash
# Lookahead-Minmax (Chavdarova and others 2021): its figures. Finished runs are skipped, so this can be repeated.
#   scripts/lookahead_minmax_2021.sh cpu|paper [more overrides, e.g. data_dir=DIR results_dir=DIR gpu.threads=1]
# scripts/gan.sh is what docs/results.md tells of: smaller networks, tuned rates, a ring of Gaussians beside MNIST.
set -euo pipefail
scale=$1
shift
for figure in fig_bilinear fig_mnist; do
  lookahead-bench -m experiment="lookahead_minmax/$figure" scale="$scale" "$@"
done
lookahead-bench figures bilinear_batch bilinear_stochastic gan/mnist "$@"
