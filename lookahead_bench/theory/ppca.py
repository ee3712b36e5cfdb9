"""Probabilistic PCA: the exact optimum of the linear VAE."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def ppca_optimum(eigenvalues: Array, latent: int, s2: float | None = None) -> tuple[float, int, float]:
    """The largest mean log-likelihood of pPCA (the linear VAE's best ELBO), the active dimensions, the noise variance.

    eigenvalues: of the sample covariance, all d of them; latent q < d; s2: fixed noise variance > 0, None: the best,
    the mean of the discarded eigenvalues. Only directions with an eigenvalue above s2 are kept.
    Source: Tipping, Bishop 1999; Lucas et al. 2019 (arXiv 1911.02469).
    """
    lam = np.sort(np.asarray(eigenvalues, dtype=float))[::-1]
    d = len(lam)
    noise = float(lam[latent:].mean()) if s2 is None else s2
    active = int((lam[:latent] > noise).sum())
    kept, rest = lam[:active], lam[active:]
    value = d * np.log(2 * np.pi) + np.log(kept).sum() + (d - active) * np.log(noise) + active + rest.sum() / noise
    return -value / 2, active, noise
