"""Break modules of bots/ in every small way: `make mutants MODULE=ledger`, or all without MODULE.

`MODULE=ledger:40,52` tries those lines only.

cosmic-ray makes the mutants; the engine's tests named below run against each. Prints the mutants
that nobody noticed, and the share of those that were. A mutant that cannot be imported, or that
only changes an annotation, is none.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.mutants.forks import Nursery, Trial, Verdict
from botsite.platform.bootstrap import ROOT

#: Module -> the tests that guard it, the quickest to notice first.
GUARDS: Mapping[str, Sequence[str]] = {
    "lifecycle": ["test_lifecycle", "test_mutants_lifecycle", "test_control"],
    "ledger": ["test_ledger_details", "test_intents", "test_ledger", "test_rungs"],
    "intents": [
        "test_intents",
        "test_ledger_details",
        "test_ledger",
        "test_rungs",
        "test_lease",
        "test_stopping",
    ],
    "placing": ["test_tick_details", "test_tick", "test_rungs"],
    "rungs": ["test_rungs"],
    "booking": ["test_booking", "test_ledger", "test_recompute"],
    "reset": ["test_reset_details", "test_reset_chunks", "test_reset"],
    "reconcile": [
        "test_reconcile_details",
        "test_reconcile",
        "test_perpetual",
        "test_funding",
        "test_ask",
    ],
    "tick": ["test_tick_details", "test_tick", "test_settle"],
    "lease": ["test_lease", "test_tick", "test_holders"],
    "settle": ["test_settle", "test_doubts"],
    "recompute": ["test_recompute"],
}
#: Models import these, so that each mutant needs a Django of its own.
UNDER_MODELS = {"lifecycle"}
PROCESSES = 2


class _Bare(ast.NodeTransformer):
    """Takes out of a tree what changes nothing: annotations, and how arguments may be passed."""

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        self.generic_visit(node)
        # `*` made to `/`: every call that there is goes on to work.
        node.args = node.posonlyargs + node.args + node.kwonlyargs
        node.defaults += [default for default in node.kw_defaults if default is not None]
        node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(value=None)
        return self.generic_visit(node)


def bare(source: str) -> str:
    """Return what the program does, as text; empty for one that is no Python at all."""
    try:
        return ast.dump(_Bare().visit(ast.parse(source)))
    except SyntaxError:
        return ""


def mutants_of(module: str) -> list[dict[str, Any]]:
    """Return what cosmic-ray makes of a module, without broken syntax and empty changes."""
    path = ROOT / "bots" / f"{module}.py"
    python = os.environ.get("MUTANTS_PYTHON", str(ROOT / ".venv/mutants/bin/python"))
    generate = [python, str(Path(__file__).with_name("generate.py")), str(path)]
    made = subprocess.run(generate, capture_output=True, text=True, check=True).stdout
    original = bare(path.read_text(encoding="utf-8"))
    found = [json.loads(line) for line in made.splitlines()]
    return [mutant for mutant in found if bare(mutant["source"]) not in ("", original)]


def run(nursery: Nursery, module: str, lines: Collection[int]) -> None:
    """Try the mutants of one module, of some lines or all. SystemExit if tests are red anyway."""
    files = [f"tests/engine/{name}.py" for name in GUARDS[module]]
    began = time.monotonic()
    if _until_done({0: nursery.start(0, module, None, files)})[1] is not Verdict.SURVIVED:
        raise SystemExit(f"red without a mutant:\n{nursery.log(0).read_text()[-3000:]}")
    # Two at a time, and the machine may be busy: only what hangs shall count as hanging.
    patience = max(60.0, 5 * (time.monotonic() - began))
    made = [one for one in mutants_of(module) if not lines or one["line"] in lines]
    waiting = list(enumerate(made, 1))
    running: dict[int, Trial] = {}
    verdicts: Counter[Verdict] = Counter()
    while waiting or running:
        while waiting and len(running) < PROCESSES:
            number, mutant = waiting.pop(0)
            running[number] = nursery.start(number, module, mutant["source"], files, patience)
        number, verdict = _until_done(running)
        if verdict is Verdict.BROKEN:
            raise SystemExit(nursery.log(number).read_text()[-3000:])
        verdicts[verdict] += 1
        if verdict is Verdict.SURVIVED:
            _tell(module, made[number - 1])
    noticed, survived = verdicts[Verdict.NOTICED], verdicts[Verdict.SURVIVED]
    print(
        f"bots/{module}.py: {noticed} of {noticed + survived} noticed"
        f" ({noticed / max(1, noticed + survived):.1%}),"
        f" {verdicts[Verdict.UNFIT]} unfit, {time.monotonic() - began:.0f} s",
        flush=True,
    )


def _tell(module: str, mutant: Mapping[str, Any]) -> None:
    print(f"{module}.py:{mutant['line']} {mutant['operator']}", flush=True)
    print(f"    - {mutant['was']}\n    + {mutant['is']}", flush=True)


def _until_done(running: dict[int, Trial]) -> tuple[int, Verdict]:
    """Wait for the first that is done; takes it out."""
    while True:
        for number, trial in running.items():
            verdict = trial.verdict()
            if verdict is not None:
                del running[number]
                return number, verdict
        time.sleep(0.02)


def _wanted(given: Sequence[str]) -> dict[str, str]:
    """Return module -> lines of words like `ledger` or `ledger:40,52`."""
    return {module: lines for module, _, lines in (word.partition(":") for word in given)}


def main(modules: Sequence[str]) -> int:
    wanted = dict.fromkeys(GUARDS, "") if not modules else _wanted(modules)
    unknown = wanted.keys() - GUARDS.keys()
    if unknown:
        print(f"no tests are named for {', '.join(sorted(unknown))}; there are {', '.join(GUARDS)}")
        return 2
    os.nice(10)
    with tempfile.TemporaryDirectory(prefix="botsite-mutants-") as folder:
        nursery = Nursery(Path(folder))
        try:
            for module in sorted(wanted, key=lambda name: name not in UNDER_MODELS):
                if module not in UNDER_MODELS and not nursery.is_warm:
                    nursery.warm_up()
                run(nursery, module, [int(line) for line in wanted[module].split(",") if line])
        finally:
            nursery.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
