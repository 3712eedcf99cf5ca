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
        self.assertIn("## pool/pair\n\n| | vouch | mutex |\n|---|---:|---:|\n"
                      "| threads:2 time | 20 ns | 50 ns (2.50×) |\n", text)
        self.assertEqual(errors, [])

    def test_counters_are_rows_of_their_own(self):
        text, _ = self.table(run("pool/wait/vouch/8/threads:4", 10, p99_ns=200.0),
                             run("pool/wait/mutex/8/threads:4", 10, p99_ns=500.0))
        self.assertIn("| 8/threads:4 p99_ns | 200 | 500 (2.50×) |", text)

    def test_units_are_compared_in_nanoseconds(self):
        text, _ = self.table(run("uow/unit/vouch", 2, time_unit="ms"),
                             run("uow/unit/bare", 4000, time_unit="us"))
        self.assertIn("| time | 2 ms | 4 ms (2.00×) |", text)

    def test_a_contestant_may_be_missing(self):
        text, _ = self.table(run("pool/pair/vouch/threads:1", 5), run("pool/pair/old/threads:2", 7))
        self.assertIn("| threads:1 time | 5 ns | – |", text)
        self.assertIn("| threads:2 time | – | 7 ns |", text)

    def test_context_and_errors_are_said(self):
        text, errors = self.table(
            run("pool/pair/vouch", 0, error_occurred=True, error_message="no space"),
            cpu="A CPU", host_name="private")
        self.assertIn("| cpu | A CPU |", text)
        self.assertNotIn("private", text)
        self.assertEqual(errors, ["pool/pair/vouch: no space"])
        self.assertIn("**pool/pair/vouch: no space**", text)


if __name__ == "__main__":
    unittest.main()
