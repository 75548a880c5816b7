"""The rules of docs/architecture.md that neither the type checker nor import-linter can say."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from agent.core.codes import CODES

ROOT = Path(__file__).parents[1]
AGENT = ROOT / "agent"

MAKERS = {
    "agent.core.job.Job": {"wire/signing.py"},
    "agent.guard.sql.Plan": {"guard/sql.py"},
    "agent.guard.python.admitting.Admitted": {"guard/python/admitting.py"},
    "agent.core.plan.MaskedPlan": {"masking/rewrite.py"},
    "agent.core.table.Masked": {"masking/release.py"},
    "agent.core.table.Document": {"masking/publish.py"},
    "agent.core.table.Analysis": {"masking/analysis.py"},
    "agent.core.table.Printed": {"masking/analysis.py"},
    "agent.core.table.Output": {"masking/analysis.py"},
    "agent.core.outcome.Parcel": {"wire/sealing.py"},
}
"""The nouns of the line, and the one module that makes each."""

ASYNC = ("service/", "transport/", "core/ports.py")
PRINTS = ("cli/",)
PURE = ("guard/", "masking/", "dialects/", "wire/")
WRITERS = {"wire/schemas.py", "dialects/reference.py", "guard/python/reference.py"}
"""Programs that write generated documentation; nothing imports them."""

IMPURE = {"asyncio", "anyio", "io", "os", "pathlib", "random", "shutil", "socket", "subprocess", "tempfile", "time"}
STREAMS = {"wire/frames.py", "wire/payload.py", "wire/sealing.py", "wire/container.py", "wire/streams.py"}
"""They may use `io`: in-memory streams."""

LISTENERS = {
    "listen",
    "start_server",
    "start_unix_server",
    "create_server",
    "create_unix_server",
    "create_tcp_listener",
    "create_unix_listener",
    "create_datagram_endpoint",
}
SERVERS = {"socketserver", "http.server", "xmlrpc.server", "wsgiref", "multiprocessing", "uvicorn", "fastapi"}
"""Modules that listen on their own."""

HEAVY = {"sqlglot", "duckdb", "pyarrow", "pandas", "numpy", "RestrictedPython"}
SERVICE = ("service", "transport", "spool", "audit", "identity", "settings")
"""The packages that the service process is made of, with app.py."""

CODED = {
    "Refuse": {"refused", "rejected"},
    "Refused": {"refused"},
    "Fault": {"failed"},
    "Failed": {"failed"},
    "Rejection": {"rejected"},
    "Ended": {"completed", "failed"},
}
"""What is called with an outcome code -> the classes of outcome that it may name."""

NOT_YET: set[str] = set()
"""Published, for programs that match on codes, ahead of what gives them."""

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40


@cache
def modules() -> dict[str, ast.Module]:
    """Path below agent/ -> syntax."""
    return {path.relative_to(AGENT).as_posix(): ast.parse(path.read_text()) for path in sorted(AGENT.rglob("*.py"))}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    return (
        call.func.id
        if isinstance(call.func, ast.Name)
        else call.func.attr
        if isinstance(call.func, ast.Attribute)
        else ""
    )


def imported(tree: ast.Module) -> set[str]:
    """Dotted names of all imported modules, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def meanings(path: str, tree: ast.Module) -> dict[str, str]:
    """Local name -> dotted name, for imports and for the module's own classes."""
    own = "agent." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    found = {node.name: f"{own}.{node.name}" for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.asname or name.name: name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
    return found


def made(path: str, tree: ast.Module) -> set[str]:
    """Dotted names of what is called here."""
    local = meanings(path, tree)
    found: set[str] = set()
    for call in calls(tree):
        head, _, rest = ast.unparse(call.func).partition(".")
        found.add(f"{local.get(head, head)}.{rest}".rstrip("."))
    return found


@pytest.mark.parametrize(("noun", "makers"), MAKERS.items(), ids=MAKERS)
def test_each_noun_of_the_line_is_made_in_one_place(noun: str, makers: set[str]) -> None:
    assert {path for path, tree in modules().items() if noun in made(path, tree)} == makers


def test_async_stays_in_the_outer_ring() -> None:
    kinds = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    found = {path for path, tree in modules().items() if any(isinstance(node, kinds) for node in ast.walk(tree))}
    assert {path for path in found if not path.startswith(ASYNC)} == set()


def test_files_stay_small() -> None:
    long = {path: len((AGENT / path).read_text().splitlines()) for path in modules()}
    assert {path: lines for path, lines in long.items() if lines >= MAX_FILE_LINES} == {}


def test_functions_stay_small() -> None:
    """Counted from the first line of the body: a signature of command-line options is a table."""
    found = {
        f"{path}:{node.name}": lines
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if (lines := (node.end_lineno or 0) - node.body[0].lineno + 1) >= MAX_FUNCTION_LINES
    }
    assert found == {}


def literals(node: ast.expr | None) -> Iterator[str]:
    """The texts that an argument can be, as far as they stand there."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from literals(value)


def coded() -> Iterator[tuple[str, str, str]]:
    """Place, class and code of every call that gives an outcome code."""
    for path, tree in modules().items():
        for call in calls(tree):
            if called(call) in CODED:
                named = next((word.value for word in call.keywords if word.arg == "code"), None)
                for code in literals(call.args[0] if call.args else named):
                    yield f"{path}:{call.lineno}", called(call), code


def test_every_code_that_is_given_is_published() -> None:
    wrong = [
        (place, kind, code)
        for place, kind, code in coded()
        if code not in CODES or CODES[code].outcome not in CODED[kind]
    ]
    assert wrong == []


def test_every_published_code_is_given_somewhere() -> None:
    texts = {
        node.value
        for path, tree in modules().items()
        if path != "core/codes.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(CODES) - texts == NOT_YET


def test_nothing_listens() -> None:
    wrong = {
        f"{path}:{call.lineno}" for path, tree in modules().items() for call in calls(tree) if called(call) in LISTENERS
    }
    assert wrong == set()
    assert {path for path, tree in modules().items() if imported(tree) & SERVERS} == set()


def test_only_the_command_line_prints() -> None:
    wrong = {
        f"{path}:{call.lineno}"
        for path, tree in modules().items()
        if not path.startswith(PRINTS)
        for call in calls(tree)
        if ast.unparse(call.func) in {"print", "sys.stdout.write", "sys.stdout.buffer.write"}
    }
    assert wrong == set()


def test_the_core_of_decisions_does_no_io_and_reads_no_clock() -> None:
    wrong = {}
    for path, tree in modules().items():
        if not path.startswith(PURE) or path in WRITERS:
            continue
        modules_used = {name.partition(".")[0] for name in imported(tree)} & IMPURE
        found = modules_used - ({"io"} if path in STREAMS else set())
        found |= {called(call) for call in calls(tree)} & {"open", "read_text", "read_bytes", "now", "today"}
        if found:
            wrong[path] = found
    assert wrong == {}


def test_only_settings_reads_the_environment() -> None:
    """The command line hands it over whole; jails empty their own; one library can be told its folder by it only."""
    allowed = ("settings/", "cli/", "worker/jail.py", "sandbox/jail.py", "sandbox/program/preload.py")
    wrong = {
        path
        for path, tree in modules().items()
        if not path.startswith(allowed)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
    }
    assert wrong == set()


def test_the_service_process_loads_no_driver_no_parser_and_no_frames() -> None:
    parts = [path for path in modules() if path.split("/")[0] in SERVICE and not path.endswith("__main__.py")]
    if "app.py" in modules():
        parts.append("app.py")
    names = ["agent." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in parts]
    program = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "json.dump(sorted(sys.modules), sys.stdout)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(names)], capture_output=True, check=True, cwd=ROOT, text=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "pydantic" in loaded  # it did load something
    assert loaded & HEAVY == set()


PROVIDED = {
    "pydantic_core": "pydantic",
    "yaml": "pyyaml",
}
"""Import name -> the declared dependency that brings it, where the names differ."""
LATER = {
    "tenacity": "enrolment and connects of the link",
}
"""Declared ahead of what imports it."""


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^\w-]", line)[0].replace("-", "_").lower() for line in project["dependencies"]}
    tops = {name.partition(".")[0] for tree in modules().values() for name in imported(tree)}
    third = {PROVIDED.get(top, top).lower() for top in tops - set(sys.stdlib_module_names) - {"agent", "__future__"}}
    assert third - declared == set()
    assert declared - third == set(LATER)


def test_every_dependency_has_a_stated_reason() -> None:
    text = (ROOT / "docs/adr/0002-dependencies.md").read_text().lower()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[^\w-]", line)[0] for line in lines}
    assert {name for name in names if f"| {name} |" not in text} == set()


TEXT = {".cfg", ".csv", ".json", ".jsonl", ".md", ".py", ".sh", ".sql", ".toml", ".yaml", ".yml", ""}
SKIPPED = {"build", "dist", "node_modules", "uv.lock"}
PRIVATE = re.compile(
    r"(?<![\w.*~-])/(?:work|root|home|Users)/[\w.]"  # someone's machine
    r"|py[p]i\.(?:org|python)|python[h]osted"  # where packages come from is the machine's business
    r"|\b(?:TO[D]O|FIX[M]E|XX[X])\b"
)


def texts() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*")):
        inside = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in {".ci", ".gitignore"} for part in inside)
        if not hidden and not SKIPPED & set(inside) and path.suffix in TEXT and path.is_file():
            yield path


def test_the_text_speaks_only_of_itself() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if PRIVATE.search(line)
    ]
    assert wrong == []


def test_readme_fits_on_a_few_screens_and_starts_with_two_commands() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    commands = [line for line in lines if line.startswith(("make ", "agent ", "$ "))]
    assert [line.split("#")[0].strip() for line in commands[:2]] == ["make demo", "make test"]


def test_the_pipeline_runs_what_the_readme_says() -> None:
    stages = [line.split()[1:] for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith("stage ")]
    assert ["make", "test"] in stages
    assert ["make", "check"] in stages
    assert ["make", "demo"] in stages


def test_make_help_lists_what_there_is() -> None:
    done = subprocess.run(["make", "help"], capture_output=True, check=True, cwd=ROOT, text=True)
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert {"help", "setup", "demo", "test", "test-full", "check", "fix", "bench", "clean"} <= listed
