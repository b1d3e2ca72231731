"""TF-IDF and logistic regression of scikit-learn; a pair is one text."""

from __future__ import annotations

from shared import Clock, Task, line, run


def train(task: Task, clock: Clock) -> str:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    with clock:
        model.fit(task.joined("train"), task.classes("train"))
    return line(clock, model.predict(task.joined("test")).tolist(), ["scikit-learn"])


if __name__ == "__main__":
    run(train)
