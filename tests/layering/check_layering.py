"""Checks who includes whom. Usage: check_layering.py ROOT

    bench   tests   uow/cli      leaves: nothing includes them
         \\    |    /
             uow
              |
           storage               open -> {sqlite, postgres, migrations, ...} -> core files
              |
             pool

Prints each violation as file:line: reason, and exits 1 if there is one.
"""

import pathlib
import re
import sys

TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "README.md",
             "storage", "uow", "pool", "bench", "tests", "cmake"}
# What .gitignore names may lie around.
IGNORED = {"build", "compile_commands.json", "CMakeUserPresets.json"}

# From bottom to top: a folder includes itself and those before it.
LAYERS = ["pool", "storage", "uow"]

# A leaf, and the only folders that may include it.
LEAVES = {"uow/cli/": ("uow/cli/", "tests/uow/cli/"),
          "tests/": ("tests/",),
          "bench/": ("bench/",)}

DRIVERS = {"storage/sqlite/", "storage/postgres/"}
NAMES_BOTH_DRIVERS = "storage/open.cc"
WITHOUT_DRIVERS = ("storage/migrations/", "storage/maintenance/",
                   "storage/health/", "storage/metrics/")

# A third-party header, and the only places that may include it.
THIRD_PARTY = [
    ("SQLite", r"sqlite3(ext)?\.h", ("storage/sqlite/", "tests/", "bench/")),
    ("libpq", r"(postgresql/)?(libpq-|pg_config|libpq/).*",
     ("storage/postgres/", "tests/", "bench/")),
    ("OpenSSL", r"openssl/.*", ("storage/sha256.", "uow/", "tests/", "bench/")),
    ("CLI11", r"CLI/.*", ("uow/cli/",)),
    ("nlohmann-json", r"nlohmann/.*", ("uow/cli/", "uow/internal/json.h", "tests/uow/")),
    ("GoogleTest", r"(gtest|gmock)/.*", ("tests/",)),
    ("Google Benchmark", r"benchmark/.*", ("bench/",)),
]

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def check(root):
    """Returns the violations below the folder `root`, as lines to print."""
    violations = check_top_level(root)
    for folder in LAYERS + ["tests", "bench"]:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".h", ".cc", ".inc") and path.is_file():
                violations += check_file(root, path)
    return violations


def check_top_level(root):
    visible = {p.name for p in root.iterdir() if not p.name.startswith(".")} - IGNORED
    return ([f"{name}:1: is not of the top level" for name in sorted(visible - TOP_LEVEL)] +
            [f"{name}:1: is missing at the top level" for name in sorted(TOP_LEVEL - visible)])


def check_file(root, path):
    name = path.relative_to(root).as_posix()
    violations = []
    drivers = set()
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, header = match.groups()
        drivers |= {driver for driver in DRIVERS if header.startswith(driver)}
        reasons = list(why_not(name, header))
        if quote == '"' and (path.parent / header).exists():
            reasons.append(f"{header}: spell includes from the root")
        if drivers == DRIVERS and not name.startswith(("tests/", NAMES_BOTH_DRIVERS)):
            reasons.append(f"{header}: only {NAMES_BOTH_DRIVERS} may name both drivers")
        violations += [f"{name}:{number}: {reason}" for reason in reasons]
    return violations


def why_not(name, header):
    """Yields the reasons why the file `name` may not include `header`."""
    layer = name.split("/")[0]
    header_layer = header.split("/")[0]
    if layer in LAYERS and header_layer in LAYERS:
        if LAYERS.index(header_layer) > LAYERS.index(layer):
            yield f"{header}: {header_layer} is a layer above {layer}"

    for leaf, allowed in LEAVES.items():
        if header.startswith(leaf) and not name.startswith(allowed):
            yield f"{header}: {leaf} is a leaf, nothing includes it"

    for driver in DRIVERS:
        if header.startswith(driver):
            if name.startswith(tuple(DRIVERS - {driver})):
                yield f"{header}: the drivers do not know each other"
            if name.startswith(WITHOUT_DRIVERS):
                yield f"{header}: this module is written against every driver"

    if "internal" in header.split("/")[:-1]:
        owner = header.split("internal/")[0]
        if not name.startswith((owner, "tests/" + owner)):
            yield f"{header}: internal to {owner}"

    for library, pattern, allowed in THIRD_PARTY:
        if re.fullmatch(pattern, header) and not name.startswith(allowed):
            yield f"{header}: {library} is included only from {' '.join(allowed)}"


def main(root):
    violations = check(pathlib.Path(root))
    print("\n".join(violations) or "layering: every include is allowed")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
