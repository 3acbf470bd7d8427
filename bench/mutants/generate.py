"""Print every mutant of a source that cosmic-ray makes, as JSON lines; cosmic-ray's Python runs it.

`python generate.py FILE` prints {"operator", "line", "was", "is", "source"} for each.
"""

import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names


def mutants(source: str) -> Iterator[dict[str, str | int]]:
    nodes = list(ast_nodes(get_ast(source)))
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments():
            continue  # those that want settings of their own
        made = operator()
        count = sum(len(list(made.mutation_positions(node))) for node in nodes)
        for occurrence in range(count):
            mutated = mutate_code(source, made, occurrence)
            if mutated is not None:
                yield {"operator": name.removeprefix("core/"), **_change(source, mutated)}


def _change(source: str, mutated: str) -> dict[str, str | int]:
    old, new = source.splitlines(), mutated.splitlines()
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    changed = [codes for codes in matcher.get_opcodes() if codes[0] != "equal"]
    _tag, first, last, start, end = changed[0] if changed else ("", 0, 0, 0, 0)
    return {
        "line": first + 1,
        "was": " ".join(line.strip() for line in old[first:last]),
        "is": " ".join(line.strip() for line in new[start:end]),
        "source": mutated,
    }


if __name__ == "__main__":
    for mutant in mutants(Path(sys.argv[1]).read_text(encoding="utf-8")):
        print(json.dumps(mutant))
