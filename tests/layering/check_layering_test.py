"""Plants each kind of violation in a small clean tree, and requires check_layering.py to fail and
to name the file and the line."""

import contextlib
import io
import pathlib
import tempfile
import unittest

import check_layering

CLEAN_TREE = {
    "CMakeLists.txt": "", "CMakePresets.json": "{}", "README.md": "", "cmake/dev": "",
    "pool/pool.h": '#include <atomic>\n#include "absl/status/status.h"\n#include "pool/slot.h"\n',
    "pool/slot.h": '#include "pool/internal/word.h"\n',
    "pool/internal/word.h": "",
    "storage/connection.h": '#include "pool/pool.h"\n',
    "storage/sha256.cc": "#include <openssl/evp.h>\n",
    "storage/open.cc": '#include "storage/sqlite/driver.h"\n#include "storage/postgres/driver.h"\n',
    "storage/sqlite/driver.h": "#include <sqlite3.h>\n",
    "storage/postgres/driver.h": "#include <libpq-fe.h>\n",
    "storage/health/report.h": '#include "storage/connection.h"\n',
    "uow/engine.h": '#include "storage/connection.h"\n#include <openssl/evp.h>\n',
    "uow/cli/main.cc": '#include "uow/cli/command.h"\n#include <CLI/CLI.hpp>\n',
    "uow/cli/command.h": "#include <nlohmann/json.hpp>\n",
    "tests/pool/word_test.cc": ('#include "pool/internal/word.h"\n'
                                '#include "tests/support/clock.h"\n'),
    "tests/support/clock.h": "#include <gtest/gtest.h>\n",
    "bench/pool/pool_bench.cc": '#include <sqlite3.h>\n#include "pool/pool.h"\n',
}


class CheckLayeringTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        for name, text in CLEAN_TREE.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_checker(self):
        """Returns the exit code and what was printed."""
        with contextlib.redirect_stdout(io.StringIO()) as output:
            code = check_layering.main(self.root)
        return code, output.getvalue()

    def test_accepts_the_clean_tree(self):
        code, output = self.run_checker()
        self.assertEqual(code, 0, output)

    def test_accepts_build_output(self):
        self.write("build/debug/pool.h", '#include "uow/engine.h"\n')
        self.assertEqual(self.run_checker()[0], 0)

    def test_names_file_and_line_of_each_violation(self):
        for name, include, reason in [
            ("pool/bad.h", '"storage/connection.h"', "a layer above"),
            ("pool/bad.cc", '"uow/engine.h"', "a layer above"),
            ("storage/bad.h", '"uow/engine.h"', "a layer above"),
            ("storage/sqlite/bad.cc", "<uow/engine.h>", "a layer above"),
            ("uow/bad.cc", '"uow/cli/command.h"', "a leaf"),
            ("uow/bad.cc", '"tests/support/clock.h"', "a leaf"),
            ("pool/bad.h", '"bench/support/workload.h"', "a leaf"),
            ("bench/pool/bad.cc", '"tests/support/clock.h"', "a leaf"),
            ("tests/uow/bad.cc", '"uow/cli/command.h"', "a leaf"),
            ("storage/sqlite/bad.cc", '"storage/postgres/driver.h"', "do not know each other"),
            ("storage/postgres/bad.h", '"storage/sqlite/driver.h"', "do not know each other"),
            ("storage/migrations/bad.cc", '"storage/sqlite/driver.h"', "against every driver"),
            ("storage/maintenance/bad.cc", '"storage/sqlite/driver.h"', "against every driver"),
            ("storage/health/bad.cc", '"storage/postgres/driver.h"', "against every driver"),
            ("storage/metrics/deep/bad.h", '"storage/sqlite/driver.h"', "against every driver"),
            ("storage/bad.cc", '"pool/internal/word.h"', "internal to pool/"),
            ("tests/uow/bad.cc", '"pool/internal/word.h"', "internal to pool/"),
            ("uow/bad.cc", '"storage/sqlite/internal/x.h"', "internal to storage/sqlite/"),
            ("storage/bad.cc", "<sqlite3.h>", "SQLite is included only"),
            ("uow/bad.cc", '"sqlite3.h"', "SQLite is included only"),
            ("storage/sqlite/bad.cc", "<libpq-fe.h>", "libpq is included only"),
            ("uow/bad.cc", "<postgresql/libpq-fe.h>", "libpq is included only"),
            ("pool/bad.cc", "<openssl/evp.h>", "OpenSSL is included only"),
            ("storage/sqlite/bad.cc", "<openssl/sha.h>", "OpenSSL is included only"),
            ("uow/bad.cc", "<CLI/CLI.hpp>", "CLI11 is included only"),
            ("uow/bad.cc", "<nlohmann/json.hpp>", "nlohmann-json is included only"),
            ("storage/bad.cc", "<nlohmann/json.hpp>", "nlohmann-json is included only"),
            ("uow/bad.cc", "<gtest/gtest.h>", "GoogleTest is included only"),
            ("pool/bad.cc", "<benchmark/benchmark.h>", "Google Benchmark is included only"),
            ("pool/bad.cc", '"slot.h"', "from the root"),
            ("pool/internal/bad.h", '"../slot.h"', "from the root"),
        ]:
            with self.subTest(file=name, include=include):
                self.write(name, f"// A comment.\n\n  #  include {include}\n")
                code, output = self.run_checker()
                (self.root / name).unlink()
                self.assertEqual(code, 1, output)
                self.assertRegex(output, rf"(?m)^{name}:3: .*{reason}")
                self.assertEqual(len(output.splitlines()), 1, output)

    def test_only_open_names_both_drivers(self):
        for name in ("storage/bad.cc", "uow/bad.cc"):
            with self.subTest(file=name):
                self.write(name, CLEAN_TREE["storage/open.cc"])
                code, output = self.run_checker()
                (self.root / name).unlink()
                self.assertEqual(code, 1)
                self.assertIn(f"{name}:2: storage/postgres/driver.h: only storage/open.cc", output)

    def test_top_level_is_exact(self):
        self.write("docs/manual.md", "")
        (self.root / "README.md").unlink()
        code, output = self.run_checker()
        self.assertEqual(code, 1)
        self.assertIn("docs:1: is not of the top level", output)
        self.assertIn("README.md:1: is missing", output)


if __name__ == "__main__":
    unittest.main()
