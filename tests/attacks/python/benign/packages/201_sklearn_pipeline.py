import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, classification_report
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

X = df[["amount", "discount", "region"]]
y = (df["amount"] > df["amount"].median()).astype(int)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
pre = ColumnTransformer([("num", StandardScaler(), ["amount", "discount"]), ("cat", OneHotEncoder(handle_unknown="ignore"), ["region"])])
model = Pipeline([("pre", pre), ("clf", LogisticRegression(max_iter=200))])
model.fit(X_train, y_train)
pred = model.predict(X_test)
result = {"accuracy": float(accuracy_score(y_test, pred)), "coef": int(model.named_steps["clf"].coef_.shape[1]), "report": "precision" in classification_report(y_test, pred, zero_division=0)}
