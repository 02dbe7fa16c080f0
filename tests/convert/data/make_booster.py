"""Makes ``xgb_072.pickle.dat`` and ``xgb_072.npz``: run once with Python 3.7, xgboost 0.72.1 and numpy.

    python3.7 -m venv old && old/bin/pip install xgboost==0.72.1 numpy scipy && old/bin/python make_booster.py

The pickle is a real one of that version: ``binary:logistic`` on 12 of 2048 features with names as the published
code gives them (column names of a data frame), early stopping (which adds ``best_*``), a base score other than
one half, and a gamma that prunes, so that deleted nodes lie in the file. The npz holds rows and what
xgboost 0.72.1 itself answered for them.
"""

import pathlib
import pickle

import numpy as np
import xgboost as xgb

HERE = pathlib.Path(__file__).parent

random = np.random.RandomState(72)
columns = np.sort(random.choice(2048, 12, replace=False))
rows = random.rand(600, 12).astype(np.float32)
label = (rows[:, 0] + 0.5 * rows[:, 3] + 0.4 * random.rand(600) > 0.95).astype(np.float32)
names = [str(column) for column in columns]
train = xgb.DMatrix(rows[:400], label[:400], feature_names=names)
test = xgb.DMatrix(rows[400:], label[400:], feature_names=names)
options = {"objective": "binary:logistic", "max_depth": 4, "base_score": 0.3, "gamma": 1.0, "silent": 1}
booster = xgb.train(options, train, 8, evals=[(test, "test")], early_stopping_rounds=8, verbose_eval=False)
with (HERE / "xgb_072.pickle.dat").open("wb") as stream:
    pickle.dump(booster, stream)
np.savez_compressed(
    str(HERE / "xgb_072.npz"),
    columns=columns,
    rows=rows[400:],
    probability=booster.predict(test),
)
