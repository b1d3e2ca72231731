"""Several labels per text: train, choose a threshold for each label, predict."""

import tunesmith as ts

run = ts.train(
    "reviews.csv",
    task="multi-label-classification",
    label="tags",
    validation="25%",
    model="embedded:mini",  # for real use: leave out, or name a model of the Hub
    epochs=6,
    learning_rate=7e-4,  # for pretrained models of the Hub: leave out
    out="runs/reviews",
    settings={"data.label_separator": ";"},
)

calibration = run.calibrate("f1").calibration
print("label     threshold")
for label, threshold in (calibration.thresholds or {}).items():
    print(f"{label:<9} {'never' if threshold is None else f'{threshold:.2f}'}")

model = ts.load(run.model)
for row in model.predict("new.csv", calibrated=True):
    print(row["label"])
