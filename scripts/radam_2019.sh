#!/usr/bin/env bash
# RAdam (Liu and others 2020): its CIFAR-10 table and figures. Finished runs are skipped, so this can be repeated.
#   scripts/radam_2019.sh cpu|paper [more overrides, e.g. data_dir=DIR results_dir=DIR gpu.threads=1]
# ResNet-20 and its 186 epochs are the paper's at both scales, hours a run on two cores; at cpu batches of 64 in bfloat16, and
# 5,000 images to choose on.
set -euo pipefail
scale=$1
shift
lookahead-bench -m experiment=radam/table_cifar10 scale="$scale" "$@"
lookahead-bench figures radam "$@"
