log = []
try:
    raise ExceptionGroup("several", [ValueError("bad"), KeyError("k"), TypeError("t")])
except* ValueError as group:
    log.append(("value", len(group.exceptions)))
except* (KeyError, TypeError) as group:
    log.append(("others", len(group.exceptions)))
result = {"log": log}
