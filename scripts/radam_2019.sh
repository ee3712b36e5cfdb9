#!/usr/bin/env bash
# RAdam (Liu and others 2020): its CIFAR-10 table and figures. Finished runs are skipped, so this can be repeated.
#   scripts/radam_2019.sh [more overrides, e.g. data_dir=DIR results_dir=DIR gpu.threads=1]
# ResNet-20 and its 186 epochs are the paper's at every scale: hours a run on two cores.
set -euo pipefail
lookahead-bench -m experiment=radam/table_cifar10 "$@"
lookahead-bench figures radam "$@"
