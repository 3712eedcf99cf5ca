import unittest

import bench_table


def run(name, real_time, **more):
    return {"name": name, "run_type": "iteration", "real_time": real_time, "cpu_time": 1.0,
            "time_unit": "ns", "iterations": 10, "threads": 1, "repetitions": 3,
            "repetition_index": 0, "family_index": 0, "per_family_instance_index": 0, **more}


class BenchTableTest(unittest.TestCase):
    def table(self, *runs, **context):
        return bench_table.table({"context": context, "benchmarks": list(runs)})

    def test_medians_and_ratios_with_vouch_first(self):
        text, errors = self.table(
            *(run("pool/pair/mutex/real_time/threads:2", time) for time in (40, 60, 50)),
            *(run("pool/pair/vouch/real_time/threads:2", time) for time in (20, 90, 10)),
            run("pool/pair/mutex/real_time/threads:2_mean", 999, run_type="aggregate"))
        self.assertIn("## pool/pair\n\n| | time |\n|---|---:|\n"
                      "| vouch | 20 ns |\n| mutex | 50 ns (2.5×) |\n", text)
        self.assertIn("more than 220% (largest", text)
        self.assertEqual(errors, [])

    def test_variants_are_columns_if_only_time_was_measured(self):
        text, _ = self.table(run("pool/pair/vouch/threads:1", 5),
                             run("pool/pair/vouch/threads:2", 4),
                             run("pool/pair/mutex/threads:2", 8))
        self.assertIn("| | threads:1 | threads:2 |\n|---|---:|---:|\n"
                      "| vouch | 5 ns | 4 ns |\n| mutex | – | 8 ns (2×) |", text)

    def test_counters_of_one_variant_are_columns(self):
        text, _ = self.table(run("pool/wait/vouch/8/threads:4", 10, p99_ns=2000.0, starved=0),
                             run("pool/wait/mutex/8/threads:4", 10, p99_ns=5000.0, starved=3))
        self.assertIn("| | time | p99 | starved |", text)
        self.assertIn("| mutex | 10 ns (1×) | 5 µs (2.5×) | 3 |", text)

    def test_counters_of_several_variants_have_tables_of_their_own(self):
        text, _ = self.table(run("pool/wait/vouch/1", 10, jain=0.5),
                             run("pool/wait/vouch/2", 10, jain=1.0))
        self.assertIn("**time**\n\n| | 1 | 2 |\n|---|---:|---:|\n| vouch | 10 ns | 10 ns |\n\n"
                      "**jain**\n\n| | 1 | 2 |\n|---|---:|---:|\n| vouch | 0.5 | 1 |", text)

    def test_units_are_compared_in_nanoseconds(self):
        text, _ = self.table(run("uow/unit/vouch", 2, time_unit="ms"),
                             run("uow/unit/bare", 4000, time_unit="us"))
        self.assertIn("| vouch | 2 ms |\n| bare | 4 ms (2×) |", text)

    def test_files_are_merged_as_one_run(self):
        reports = [{"context": {"cpu": "A", "java": "17"}, "benchmarks": [run("pool/a/other", 6)]},
                   {"context": {"cpu": "B", "boost": "1"}, "benchmarks": [run("pool/a/vouch", 3)]}]
        text, _ = bench_table.table(bench_table.merge(reports))
        self.assertIn("| cpu | A |\n| boost | 1 |\n| java | 17 |", text)
        self.assertIn("| vouch | 3 ns |\n| other | 6 ns (2×) |", text)

    def test_cases_are_described_and_contestants_remarked_on(self):
        text, _ = self.table(run("pool/a/vouch", 3), **{
            "case pool/a": "What a is.", "time pool/a": "p99", "remark other": "odd",
            "not measured third": "package p is missing"})
        self.assertIn("## pool/a\n\nWhat a is.\n\n| | p99 |", text)
        self.assertIn("- other: odd.\n- not measured: third (package p is missing).", text)

    def test_context_and_errors_are_said(self):
        text, errors = self.table(
            run("pool/pair/vouch", 0, error_occurred=True, error_message="no space"),
            cpu="A CPU", host_name="private", load_avg=[1.0, 0.5])
        self.assertIn("| cpu | A CPU |\n| load avg | 1.00, 0.50 |", text)
        self.assertNotIn("private", text)
        self.assertEqual(errors, ["pool/pair/vouch: no space"])
        self.assertIn("**pool/pair/vouch: no space**", text)


if __name__ == "__main__":
    unittest.main()
