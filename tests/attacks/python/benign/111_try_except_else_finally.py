errors = []
values = []
for raw in ["12", "x", None, "7"]:
    try:
        number = int(raw)
    except ValueError as e:
        errors.append(f"{type(e).__name__}: {e}")
    except (TypeError, KeyError) as exc:
        errors.append(exc.__class__.__name__)
    else:
        values.append(number)
    finally:
        seen = len(values) + len(errors)
try:
    raise ValueError("a") from KeyError("b")
except ValueError as error:
    cause = repr(error.__cause__)
result = {"errors": errors, "values": values, "seen": seen, "cause": cause}
