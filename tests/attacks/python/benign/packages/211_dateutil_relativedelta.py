from dateutil import parser, relativedelta
from dateutil.relativedelta import relativedelta as rd

when = parser.parse("2024-01-31T10:00:00")
result = {"next": (when + rd(months=1)).date().isoformat(), "months": relativedelta.relativedelta(when, parser.parse("2023-01-01")).years}
