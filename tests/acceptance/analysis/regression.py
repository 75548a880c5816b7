# What makes a flight arrive late: delay at departure, distance, airport.
import statsmodels.formula.api as smf

model = smf.ols("arr_delay ~ dep_delay + distance + C(origin)", data=flights.dropna()).fit()
low, high = model.conf_int()[0], model.conf_int()[1]
result = {
    "coefficients": {
        name: {"value": model.params[name], "low": low[name], "high": high[name]} for name in model.params.index
    },
    "r_squared": model.rsquared,
    "n": int(model.nobs),
    "residual_error": model.mse_resid**0.5,
}
