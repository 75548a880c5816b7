result = {"rows": len(df)}
print("done")
try:
    exit(0)
except SystemExit as e:
    result["code"] = e.code
import sys
try:
    sys.exit()
except SystemExit as e:
    result["again"] = e.code
