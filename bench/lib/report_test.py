"""python3 -m unittest discover -s bench -p '*_test.py' (from the repository's root)"""

import unittest

from lib import report, scenarios
from lib.measure import Sample


def cpu(*values):
    return [Sample(cpu_us=value) if value else Sample(void="client errors: read 1", cpu_us=1.0)
            for value in values]


class RatiosAreTakenPerRound(unittest.TestCase):
    def test_a_slow_round_slows_both_and_leaves_the_ratio(self):
        ratios = report.paired_ratios(cpu(8, 16, 8), cpu(10, 20, 10), "cpu_us")
        self.assertEqual(ratios, [0.8, 0.8, 0.8])

    def test_a_void_sample_takes_its_partner_out(self):
        ratios = report.paired_ratios(cpu(8, None, 9), cpu(10, 10, 10), "cpu_us")
        self.assertEqual(ratios, [0.8, 0.9])

    def test_the_better_is_chosen_round_by_round(self):
        rows = {"nginx": cpu(10, 12), "haproxy": cpu(11, 9)}
        best = report.best_of(rows, "cpu_us")
        self.assertEqual([sample.cpu_us for sample in best], [10, 9])

    def test_where_one_of_both_is_void_there_is_no_better(self):
        best = report.best_of({"nginx": cpu(None), "haproxy": cpu(20)}, "cpu_us")
        self.assertEqual(report.paired_ratios(cpu(10), best, "cpu_us"), [])

    def test_without_both_there_is_no_better(self):
        self.assertEqual(report.best_of({"nginx": cpu(10)}, "cpu_us"), ())


class VoidRows(unittest.TestCase):
    def test_half_of_the_rounds_is_not_enough(self):
        self.assertTrue(report.is_void(cpu(1, None)))
        self.assertFalse(report.is_void(cpu(1, 1, None)))

    def test_a_void_row_shows_its_reason_and_no_figure(self):
        rows = {"weir": cpu(None), "nginx": cpu(10), "haproxy": cpu(11)}
        text = report.as_text(scenarios.BY_NAME["1k"], rows)
        self.assertIn("client errors: read 1", text)
        self.assertNotIn("met", text)


class Verdicts(unittest.TestCase):
    def test_a_target_is_judged_on_the_median_of_the_ratios(self):
        rows = {"weir": cpu(8, 8, 12), "nginx": cpu(10, 10, 10), "haproxy": cpu(12, 12, 12),
                "relay": cpu(5, 5, 5)}
        lines = report.verdicts(scenarios.BY_NAME["1k"], rows)
        self.assertEqual(lines, [
            "weir: 0.80 × the better of nginx and haproxy (rounds 0.80 to 1.20), "
            "target ≤ 0.82: met",
            "weir: 1.60 × relay (rounds 1.60 to 2.40), target ≤ 1.4: MISSED"])

    def test_a_noisy_row_takes_the_finding_away(self):
        rows = {"weir": [Sample(bytes_per_connection=1000.0, foreign=0.5)]}
        self.assertIn("no finding", report.verdicts(scenarios.BY_NAME["idle"], rows)[0])

    def test_more_workers_are_compared_with_one(self):
        rows = {"weir ×1": cpu(10), "weir ×2": cpu(10.2), "weir ×4": cpu(11)}
        lines = report.verdicts(scenarios.BY_NAME["workers"], rows)
        self.assertEqual([line.rpartition(": ")[2] for line in lines], ["met", "MISSED"])

    def test_another_backend_is_compared_with_the_first(self):
        rows = {"weir h1": cpu(10, 10), "weir h2c": cpu(6, 8), "haproxy h1": cpu(20, 20),
                "haproxy h2c": cpu(10, 10)}
        self.assertEqual(report.verdicts(scenarios.BY_NAME["backend"], rows), [
            "weir h2c: 0.70 × over HTTP/1.1 (rounds 0.60 to 0.80), target ≤ 0.7: met"])
        header, body = report.cells(scenarios.BY_NAME["backend"], rows)
        self.assertIn("/ over HTTP/1.1", header)
        self.assertIn("0.50", body[3])

    def test_without_percentiles_there_is_no_column_of_them(self):
        header, _ = report.cells(scenarios.BY_NAME["h2"], {"weir": cpu(10)})
        self.assertNotIn("p99 µs", header)

    def test_a_target_on_the_figure_itself(self):
        rows = {"weir": [Sample(bytes_per_connection=1000.0)]}
        self.assertEqual(report.verdicts(scenarios.BY_NAME["idle"], rows),
                         ["weir: 1000.00 B/conn (rounds 1000.00 to 1000.00), "
                          "target ≤ 1024: met"])


if __name__ == "__main__":
    unittest.main()
