#!/usr/bin/env bash
# The figures of the other papers, small problems all: extragradient for GANs (Gidel and others 2019),
# single-call extragradient (Hsieh and others 2019), the linear VAE (Lucas and others 2019).
#   scripts/toys.sh [more overrides, e.g. data_dir=DIR results_dir=DIR]
set -euo pipefail
lookahead-bench figures vi_gan dirac_gan single_call linear_vae deep_vae "$@"
