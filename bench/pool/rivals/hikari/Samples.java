import java.util.Arrays;

/** Numbers, and their percentiles: percentiles.h in Java. */
final class Samples {
  private long[] values = new long[1024];
  private int count;

  void add(long value) {
    if (count == values.length) {
      values = Arrays.copyOf(values, 2 * count);
    }
    values[count++] = value;
  }

  /** All of them in one, in order. */
  static Samples sorted(Samples[] parts) {
    Samples all = new Samples();
    for (Samples part : parts) {
      for (int i = 0; i < part.count; i++) {
        all.add(part.values[i]);
      }
    }
    Arrays.sort(all.values, 0, all.count);
    return all;
  }

  /** REQUIRES: sorted. */
  long at(double part) {
    return values[Math.min((int) (part * count), count - 1)];
  }

  long max() {
    return values[count - 1];
  }

  static Samples[] forThreads(int threads) {
    Samples[] all = new Samples[threads];
    Arrays.setAll(all, i -> new Samples());
    return all;
  }
}
