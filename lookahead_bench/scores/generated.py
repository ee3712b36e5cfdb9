"""How good generated images are, from a classifier's features and logits; the arithmetic is torch-fidelity's."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

SPLITS = 10  # of the Inception Score, as in the papers
SUBSETS, SUBSET = 20, 1000  # of the kernel distance
FOUND = 0.1  # of its fair share is what a class needs to count as a mode


class Outputs(NamedTuple):
    """Of a classifier on N images: features [N, F] and logits [N, classes], float32, on the CPU."""

    features: Tensor
    logits: Tensor


class Real:
    """Real images that generated ones are compared with.

    outputs: the classifier's on them.
    """

    def __init__(self, outputs: Outputs) -> None:
        self.features = outputs.features
        self.moments = moments(outputs.features)
        self.classes = histogram(outputs.logits)

    def fid(self, features: Tensor) -> float:
        """Frechet distance between the normal distributions of the same moments (Heusel et al. 2017)."""
        from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

        if not bool(features.isfinite().all()):
            return math.nan
        return float(fid_statistics_to_metric(moments(features), self.moments, verbose=False)[KEY_METRIC_FID])

    def scores(self, generated: Outputs) -> dict[str, float]:
        """fid; inception_score (mean over ten parts); entropy of the classes that the classifier sees, in nats, and
        total_variation between them and the real ones; modes: classes with a tenth of their fair share or more."""
        from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

        seen = histogram(generated.logits)
        return {
            "fid": self.fid(generated.features),
            "inception_score": isc_features_to_metric(generated.logits, SPLITS, shuffle=False)[KEY_METRIC_ISC_MEAN],
            "entropy": float(-(seen * np.log(np.maximum(seen, 1e-300))).sum()),
            "total_variation": float(np.abs(seen - self.classes).sum() / 2),
            "modes": float((seen >= FOUND / len(seen)).sum()),
        }

    def thorough(self, generated: Outputs) -> dict[str, float]:
        """kid (Binkowski et al. 2018, cubic kernel); precision, recall (Kynkaanniemi et al. 2019, three neighbours)."""
        from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
        from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

        if not bool(generated.features.isfinite().all()):
            return dict.fromkeys(("kid", "precision", "recall"), math.nan)
        size = min(SUBSET, len(generated.features), len(self.features))
        kid = kid_features_to_metric(
            generated.features.double(),
            self.features.double(),
            kid_subsets=SUBSETS,
            kid_subset_size=size,
            verbose=False,
        )
        prc = prc_features_to_metric(generated.features, self.features, verbose=False)
        return {"kid": kid[KEY_METRIC_KID_MEAN], "precision": prc[KEY_METRIC_PRECISION],
                "recall": prc[KEY_METRIC_RECALL]}  # fmt: skip


def moments(features: Tensor) -> dict[str, Any]:
    """Mean and covariance, in float64."""
    from torch_fidelity.metric_fid import fid_features_to_statistics

    return dict(fid_features_to_statistics(features.double()))


def histogram(logits: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The share of every class, by the largest logit."""
    return torch.bincount(logits.argmax(1), minlength=logits.shape[1]).double().div(len(logits)).numpy()
