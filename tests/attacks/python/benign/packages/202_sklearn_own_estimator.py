import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline


class Clip(BaseEstimator, TransformerMixin):
    def __init__(self, upper=100):
        self.upper = upper

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return np.clip(X, None, self.upper)


X = df[["amount", "discount"]].to_numpy()
pipe = make_pipeline(Clip(upper=200), RandomForestRegressor(n_estimators=5, random_state=1))
pipe.fit(X, df["amount"])
labels = KMeans(n_clusters=2, n_init=2, random_state=0).fit_predict(X)
result = {"score": pipe.score(X, df["amount"]) > 0, "clusters": len(set(labels.tolist())), "params": sorted(Clip().get_params())}
