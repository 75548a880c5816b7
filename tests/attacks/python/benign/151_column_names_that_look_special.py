import pandas as pd

frame = pd.DataFrame({"class": [1, 2], "__v": [3, 4], "_id": [5, 6], "format": ["a", "b"], "mro": [0, 0]})
frame["class"] += 1
frame["__total__"] = frame["class"] + frame["__v"]
result = {"format": frame.format.tolist(), "id": frame._id.sum(), "total": frame["__total__"].tolist(), "mro": frame.mro.sum()}
