import logging
import sys
import warnings

warnings.filterwarnings("ignore")
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout, force=True)
logger = logging.getLogger(__name__)
logger.info("rows: %d", len(df))
print("python", sys.version_info.major, file=sys.stderr)
sys.stdout.flush()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("careful", UserWarning)
result = {"caught": len(caught), "name": logger.name, "max": sys.maxsize > 2**31}
