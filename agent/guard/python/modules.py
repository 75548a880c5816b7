"""What a program may import when the site does not say, and what to use in the place of what it may not."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent.guard.python.words import words

STANDARD: Final = words(
    "__future__ abc argparse array ast base64 binascii bisect bz2 calendar cmath codecs collections colorsys "
    "concurrent.futures configparser contextlib contextvars copy csv dataclasses datetime decimal difflib "
    "encodings enum errno filecmp fnmatch fractions functools gc getopt glob graphlib gzip hashlib heapq hmac "
    "html importlib inspect io ipaddress itertools json keyword linecache locale logging lzma math mimetypes "
    "numbers operator optparse os pathlib platform posixpath pprint queue random re reprlib sched secrets shlex "
    "shutil sqlite3 stat statistics string stringprep struct sys tarfile tempfile textwrap threading time "
    "timeit token tokenize tomllib traceback types typing unicodedata urllib.parse uuid warnings weakref xml "
    "zipfile zlib zoneinfo "
)
"""The standard library less what has no use in analysis. What their functions may do is the kernel's business."""

PACKAGES: Final = words(
    "altair dateutil duckdb joblib matplotlib mpl_toolkits narwhals numpy pandas patsy plotly polars pyarrow "
    "pytz scipy seaborn sklearn statsmodels typing_extensions tzdata "
)
"""Packages of analysis. Those that a site has not installed fail when they are imported."""

WITHOUT: Final = words(
    "concurrent.futures.process importlib.machinery importlib.abc importlib.util importlib.readers "
    "importlib.simple logging.config logging.handlers numpy.ctypeslib numpy.distutils numpy.f2py "
    "pandas.io.clipboard pandas.io.clipboards pyarrow.cuda pyarrow.flight pyarrow.fs pyarrow.jvm "
    "scipy._lib._ccallback joblib.externals "
)
"""Parts of modules on the lists that are not on them."""

_NETWORK: Final = "No network here: name the data as an input."
_DATABASE: Final = "No connection here: name the query as an input of the job."
_PROCESS: Final = "No other program can be started here: do it in Python; for parallel work use concurrent.futures."
_NATIVE: Final = "No native code can be called here: use numpy or scipy."
_FILES: Final = 'Assign the frame to `result`; within the job, keep files with open("name"), to_parquet or json.'
_LEARNING: Final = "Use sklearn or statsmodels."
_LOOKING: Final = "The interpreter is not to be looked into: leave it out."
_ASYNC: Final = "Nothing is asynchronous here: write plain functions; for parallel work use concurrent.futures."
_NOTEBOOK: Final = "This is no notebook: assign what is to be shown to `result` or `chart`, or print it."
_SCREEN: Final = "There is no screen: make a chart with matplotlib, altair or plotly."
_TESTS: Final = "Write plain `assert` statements."
_LIMITS: Final = "The site sets the limits, and its machine is not to be looked at: leave it out."
_EXCEL: Final = "Assign the frame to `result`: whoever opens the job's result saves it as they need."

_BY_HINT: Final[Mapping[str, str]] = {
    _NETWORK: "requests httpx urllib urllib3 aiohttp http socket ssl ftplib smtplib poplib imaplib nntplib telnetlib "
    "xmlrpc socketserver select selectors webbrowser wsgiref cgi paramiko websocket websockets boto3 botocore s3fs "
    "gcsfs fsspec grpc openai anthropic yfinance pandas_datareader bs4 scrapy selenium smtpd google azure slack_sdk "
    "pyarrow.flight pyarrow.fs logging.handlers asyncore asynchat kaggle datasets huggingface_hub",
    _DATABASE: "sqlalchemy psycopg psycopg2 pymysql mysql MySQLdb pyodbc cx_Oracle oracledb snowflake redis pymongo "
    "sqlmodel peewee adbc_driver_postgresql adbc_driver_manager clickhouse_connect trino databricks ibis pyspark dbm",
    _PROCESS: "subprocess multiprocessing pty pexpect sh plumbum _posixsubprocess posix "
    "concurrent.futures.process runpy commands ray dask celery crypt fcntl termios tty",
    _NATIVE: "ctypes cffi mmap _ctypes numpy.f2py numpy.ctypeslib numpy.distutils numba cython Cython pyarrow.jvm "
    "pyarrow.cuda distutils setuptools pip",
    _FILES: "pickle cPickle dill cloudpickle marshal shelve copyreg pickletools joblib.externals",
    _LEARNING: "xgboost lightgbm catboost torch tensorflow keras prophet pmdarima jax transformers shap",
    _LOOKING: "builtins code codeop dis opcode symtable pkgutil zipimport modulefinder trace tracemalloc sysconfig "
    "site faulthandler bdb pdb cProfile profile pstats atexit zipapp venv ensurepip compileall py_compile pyclbr pydoc "
    "importlib.util importlib.machinery importlib.abc _thread _imp",
    _ASYNC: "asyncio anyio trio nest_asyncio uvloop",
    _NOTEBOOK: "IPython ipywidgets google.colab jupyter nbformat itables display",
    _SCREEN: "tkinter turtle curses cv2 pygame PyQt5 PyQt6 PySide6 dash streamlit bokeh pyvis gradio",
    _TESTS: "unittest pytest doctest hypothesis test mock",
    _LIMITS: "signal resource getpass pwd grp syslog psutil memory_profiler",
    _EXCEL: "openpyxl xlsxwriter xlrd docx pptx fpdf reportlab",
    "Write plain Python: print how far it is, or nothing.": "tqdm rich colorama termcolor click typer",
    "Write df.to_string(), or assign the frame to `result`.": "tabulate prettytable",
    "Variables of the job arrive by their names: leave it out.": "dotenv decouple environs pydantic_settings",
    "Import urllib.parse.": "urllib.error urllib.robotparser",
    "Use statistics, numpy or scipy.": "sympy pingouin",
    "Use zoneinfo, dateutil or pandas.": "arrow pendulum",
    "Use json.": "simplejson ujson orjson yaml toml",
    "Use re.": "regex",
    "Use a dataclass.": "pydantic attr attrs",
    "Use difflib.": "fuzzywuzzy rapidfuzz Levenshtein thefuzz",
    "Use matplotlib, altair or plotly.": "PIL wordcloud folium geopandas pygal",
}

HINTS: Final[Mapping[str, str]] = MappingProxyType(
    {name: hint for hint, names in _BY_HINT.items() for name in names.split()}
)
"""Module -> what to do instead of importing it."""
