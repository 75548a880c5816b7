"""Runs where an agent runs, as its account: hostile programs through its whole line, in a world of what they must not get.

Prints one JSON object: program -> breaches, `control` -> what the first of them breaches with nothing in between.
Beside it: hostile_world.py and a folder `hostile` with the programs.
"""

import json
import subprocess
import sys
from pathlib import Path

from hostile_world import World

HERE = Path(__file__).parent
DF = {"kind": "sql", "source": "shop", "statement": "SELECT * FROM orders"}
ENDS = {"completed", "refused", "failed"}
BAD_CODES = {"internal.error", "worker.crashed", "sandbox.isolation"}


def main() -> None:
    programs = {path.stem: path.read_text() for path in sorted((HERE / "hostile").glob("*.py"))}
    found: dict[str, object] = {}
    with World() as world:
        lines = []
        for name, text in programs.items():
            lines.append({"ref": name, "kind": "python", "code": world.fill(text), "inputs": {"df": DF}})
            lines.append({"ref": f"after {name}", "kind": "python", "code": "result = len(df)", "inputs": {"df": DF}})
        done = subprocess.run(
            ["agent", "exec", "--jsonl", "-"],
            input="\n".join(map(json.dumps, lines)), capture_output=True, text=True, check=False,
        )  # fmt: skip
        outcomes = {one["ref"]: one for one in map(json.loads, done.stdout.splitlines())}
        for line in lines:
            said = outcomes.get(line["ref"], {})
            wrong = world.breaches(json.dumps(said, ensure_ascii=False))
            if said.get("outcome") not in ENDS or said.get("code") in BAD_CODES:
                wrong.append(f"{said} {done.stderr[-500:]}"[:800])
            if line["ref"].startswith("after ") and said.get("outcome") != "completed":
                wrong.append(f"the job that follows: {said}"[:800])
            if wrong:
                found[str(line["ref"])] = wrong
    control: dict[str, list[str]] = {}
    for name, text in list(programs.items())[:3]:
        with World() as world:
            bare = f"import pandas as pd\ndf = pd.DataFrame({{'a': range(200)}})\n{world.fill(text)}\nprint(result)"
            plain = subprocess.run(
                [sys.executable, "-c", bare], capture_output=True, text=True, check=False, timeout=20
            )
            control[name] = world.breaches(plain.stdout + plain.stderr)
    sys.stdout.write(json.dumps({"programs": len(programs), "breaches": found, "control": control}))


if __name__ == "__main__":
    main()
