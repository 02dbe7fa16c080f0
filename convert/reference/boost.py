"""Trains the second head: shallow boosted trees on a member's pooled features, for P(eGFR < 60)."""

from __future__ import annotations

import numpy as np
import xgboost
from numpy.typing import NDArray

from convert.boundaries import CKD_LIMIT
from convert.plan import TrainingPlan


def train_booster(features: NDArray[np.float32], egfr: NDArray[np.float64], plan: TrainingPlan, index: int) -> bytes:
    """Return the booster as XGBoost's JSON; positive class is eGFR < 60. ``features`` (K, F), ``egfr`` (K,)."""
    options = {
        "objective": "binary:logistic",
        "base_score": 0.5,  # margin 0: nothing to round
        "max_depth": plan.tree_depth,
        "eta": 0.08,
        "subsample": 0.7,
        "colsample_bytree": 0.5,
        "min_child_weight": 5.0,
        "lambda": 5.0,
        "nthread": plan.threads,
        "seed": plan.seed + index,
    }
    data = xgboost.DMatrix(features, (egfr < CKD_LIMIT).astype(np.float32))
    return bytes(xgboost.train(options, data, num_boost_round=plan.tree_rounds).save_raw("json"))
