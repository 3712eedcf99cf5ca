import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** The results in the JSON of Google Benchmark, as far as cmake/bench_table.py reads it. */
final class Report {
  private final Map<String, String> context = new TreeMap<>();
  private final List<String> runs = new ArrayList<>();

  void tell(String key, String value) {
    context.put(key, value);
  }

  /** Counters are pairs of a name and a number. */
  void add(String benchmark, double nanos, Object... counters) {
    StringBuilder run = new StringBuilder();
    run.append(
        String.format(
            Locale.ROOT,
            "{\"name\": \"%s\", \"run_type\": \"iteration\", \"time_unit\": \"ns\","
                + " \"real_time\": %.6e",
            benchmark,
            nanos));
    for (int i = 0; i < counters.length; i += 2) {
      double value = ((Number) counters[i + 1]).doubleValue();
      run.append(String.format(Locale.ROOT, ", \"%s\": %.6e", counters[i], value));
    }
    runs.add(run.append("}").toString());
    System.out.printf(Locale.ROOT, "%-60s %12.1f ns%n", benchmark, nanos);
  }

  void write(Path path) throws IOException {
    List<String> entries = new ArrayList<>();
    context.forEach((key, value) -> entries.add("\"" + key + "\": \"" + value + "\""));
    Files.writeString(
        path,
        "{\"context\": {\n"
            + String.join(",\n", entries)
            + "\n},\n\"benchmarks\": [\n"
            + String.join(",\n", runs)
            + "\n]}\n");
  }
}
