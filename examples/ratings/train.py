"""Ratings: a regression with intervals, and its predictions as stars."""

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import cohen_kappa_score

import tunesmith as ts

run = ts.train(
    "reviews.csv",
    task="text-regression",
    label="stars",
    validation="25%",
    model="embedded:mini",  # for real use: leave out, or name a model of the Hub
    epochs=6,
    learning_rate=7e-4,  # for pretrained models of the Hub: leave out
    out="runs/reviews",
)

print("score              value  95% interval")
for name, (low, high) in run.facts["intervals"]["validation"].items():
    print(f"{name:<18} {run.scores[name]:.4f}  {low:.4f} to {high:.4f}")

held_out = pq.read_table(run.folder / "predictions" / "validation.parquet").to_pydict()
stars = np.array(held_out["stars"], dtype=int)
predicted = np.array(held_out["score"])
rounded = np.clip(np.rint(predicted), 1, 5).astype(int)
print(f"exact stars      {np.mean(rounded == stars):.2f}")
print(f"within one star  {np.mean(abs(rounded - stars) <= 1):.2f}")
print(f"weighted kappa   {cohen_kappa_score(stars, rounded, weights='quadratic'):.2f}")

for row in ts.load(run.model).predict("new.csv"):
    print(f"{row['score']:.1f} stars")
