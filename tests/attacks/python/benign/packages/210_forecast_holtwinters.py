import numpy as np
import pandas as pd
from statsmodels.tsa.holtwinters import ExponentialSmoothing
from statsmodels.tsa.seasonal import seasonal_decompose

index = pd.date_range("2022-01-01", periods=36, freq="MS")
series = pd.Series(10 + np.arange(36) * 0.5 + np.sin(np.arange(36) / 12 * 2 * np.pi), index=index)
parts = seasonal_decompose(series, model="additive", period=12)
fit = ExponentialSmoothing(series, trend="add", seasonal="add", seasonal_periods=12).fit()
forecast = fit.forecast(3)
result = pd.DataFrame({"month": forecast.index.strftime("%Y-%m"), "forecast": forecast.round(2).values, "trend": float(parts.trend.dropna().iloc[-1])})
