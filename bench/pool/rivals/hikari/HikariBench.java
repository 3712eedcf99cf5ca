import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.pool.HikariPool;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.locks.LockSupport;
import java.util.jar.JarFile;
import java.util.logging.Logger;
import javax.sql.DataSource;

/**
 * HikariCP in the cases of bench/pool, each of which is explained in the C++ file of its name. The
 * pools lend FreeConnections, but for point_select, and run after a warm-up in which they are
 * compiled. The pool's own class is used and not HikariDataSource, which refuses timeouts below
 * 250 ms. Usage: HikariBench OUT.json
 */
final class HikariBench {
  private static final Report report = new Report();

  private HikariBench() {}

  public static void main(String[] args) throws Exception {
    report.tell("hikaricp", version());
    report.tell("java", System.getProperty("java.vm.name") + " " + Runtime.version());
    report.tell(
        "remark hikaricp", "a Java program of its own, run after each round of the others, warm");
    warmUp();
    acquireRelease();
    pairLatency();
    pointSelect();
    exhausted();
    timeout();
    manyWaiters();
    parked();
    busyHold();
    report.write(Path.of(args[0]));
    System.exit(0); // the pools' own threads need not be waited for
  }

  private static String version() throws Exception {
    Path jar =
        Path.of(HikariPool.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    try (JarFile file = new JarFile(jar.toFile())) {
      return file.getManifest().getMainAttributes().getValue("Bundle-Version");
    }
  }

  private static HikariPool poolOf(int size) {
    HikariConfig config = new HikariConfig();
    config.setDataSource(new FreeConnections());
    return open(config, size);
  }

  private static HikariPool open(HikariConfig config, int size) {
    config.setMaximumPoolSize(size);
    config.setMinimumIdle(size);
    HikariPool pool = new HikariPool(config);
    while (pool.getTotalConnections() < size) {
      LockSupport.parkNanos(1_000_000); // it fills itself in the background
    }
    return pool;
  }

  private static void pair(HikariPool pool) throws SQLException {
    try (Connection connection = pool.getConnection()) {
      connection.unwrap(FreeConnection.class).uses++;
    }
  }

  private static void warmUp() throws Exception {
    HikariPool pool = poolOf(8);
    for (int i = 0; i < 3; i++) {
      Crowd.takeTurns(8, (thread, n) -> pair(pool));
    }
    pool.shutdown();
  }

  private static void acquireRelease() throws Exception {
    for (int threads : new int[] {1, 2, 4, 8, 16, 64}) {
      HikariPool pool = poolOf(8);
      report.add(
          "pool/acquire_release/hikaricp/threads:" + threads,
          Crowd.takeTurns(threads, (thread, n) -> pair(pool)).nanos());
      pool.shutdown();
    }
  }

  private static void pairLatency() throws Exception {
    Samples clock = new Samples();
    for (int i = 0; i < 100_000; i++) {
      clock.add(-System.nanoTime() + System.nanoTime());
    }
    long clockCost = Samples.sorted(new Samples[] {clock}).at(0.5);
    for (int threads : new int[] {1, 2, 8, 64}) {
      HikariPool pool = poolOf(8);
      Samples[] samples = Samples.forThreads(threads);
      Crowd.gather(
          threads, 500, 300, (thread, window) -> samplePairs(pool, window, samples[thread]));
      Samples all = Samples.sorted(samples);
      report.add(
          "pool/pair_latency/hikaricp/threads:" + threads,
          Math.max(all.at(0.99) - clockCost, 0),
          "p999_ns",
          Math.max(all.at(0.999) - clockCost, 0));
      pool.shutdown();
    }
  }

  private static void samplePairs(HikariPool pool, Crowd.Window window, Samples samples)
      throws SQLException {
    while (!window.over()) {
      for (int i = 1; i < 16; i++) {
        pair(pool);
      }
      long start = System.nanoTime();
      pair(pool);
      long took = System.nanoTime() - start;
      if (window.opened()) {
        samples.add(took);
      }
    }
  }

  private static void pointSelect() throws Exception {
    try {
      Class.forName("org.sqlite.JDBC");
    } catch (ClassNotFoundException exception) {
      report.tell(
          "not measured hikaricp in pool/point_select",
          "package libxerial-sqlite-jdbc-java is missing");
      return;
    }
    Path folder = Files.createTempDirectory("vouch_bench_");
    String url = "jdbc:sqlite:" + folder.resolve("select.db");
    try (Connection keeper = DriverManager.getConnection(url);
        Statement statement = keeper.createStatement()) {
      statement.execute("PRAGMA journal_mode = WAL");
      statement.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)");
      statement.execute(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
              + " INSERT INTO t SELECT i, hex(randomblob(50)) FROM n");
      for (int threads : new int[] {1, 2, 8, 64}) {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(url);
        HikariPool pool = open(config, 8);
        report.add(
            "pool/point_select/hikaricp/threads:" + threads,
            Crowd.takeTurns(threads, (thread, n) -> select(pool, keyOf(thread, n))).nanos());
        pool.shutdown();
      }
    }
    for (String file : new String[] {"select.db", "select.db-wal", "select.db-shm"}) {
      Files.deleteIfExists(folder.resolve(file));
    }
    Files.delete(folder);
  }

  private static long keyOf(int thread, long n) {
    return (n * 7919 + thread * 1237L) % 10_000 + 1;
  }

  private static void select(HikariPool pool, long key) throws SQLException {
    try (Connection connection = pool.getConnection();
        PreparedStatement statement =
            connection.prepareStatement("SELECT x FROM t WHERE id = ?")) {
      statement.setLong(1, key);
      try (ResultSet rows = statement.executeQuery()) {
        if (!rows.next() || rows.getString(1).length() != 100) {
          throw new IllegalStateException("no row");
        }
      }
    }
  }

  /** What the threads of exhausted() saw, by thread, in nanoseconds. */
  private record Crowded(int slots, Samples[] waits, long[] turns, long[] held) {}

  private static void exhausted() throws Exception {
    int threads = 64;
    Crowded seen =
        new Crowded(4, Samples.forThreads(threads), new long[threads], new long[threads]);
    HikariPool pool = poolOf(seen.slots);
    long open =
        Crowd.gather(
            threads,
            500,
            1000,
            (thread, window) -> {
              while (!window.over()) {
                holdForASleep(pool, window, seen, thread);
              }
            });
    reportWaits(seen, open);
    pool.shutdown();
  }

  private static void holdForASleep(HikariPool pool, Crowd.Window window, Crowded seen, int thread)
      throws SQLException {
    long asked = System.nanoTime();
    try (Connection connection = pool.getConnection()) {
      long got = System.nanoTime();
      if (window.opened()) {
        seen.waits[thread].add(got - asked);
      }
      LockSupport.parkNanos(100_000);
      connection.unwrap(FreeConnection.class).uses++;
      if (window.opened() && !window.over()) {
        seen.turns[thread]++;
        seen.held[thread] += System.nanoTime() - got;
      }
    }
  }

  private static void reportWaits(Crowded seen, long open) {
    int threads = seen.turns.length;
    double sum = Arrays.stream(seen.turns).sum();
    double squares = Arrays.stream(seen.turns).mapToDouble(count -> (double) count * count).sum();
    double hold = Arrays.stream(seen.held).sum() / sum;
    double share = hold * threads / seen.slots;
    Samples all = Samples.sorted(seen.waits);
    report.add(
        "pool/exhausted/hikaricp",
        open / sum,
        "busy",
        hold * sum / ((double) open * seen.slots),
        "jain",
        sum * sum / (threads * squares),
        "sleep_late_ns",
        hold - 100_000,
        "starved",
        Arrays.stream(seen.turns).filter(count -> count == 0).count(),
        "wait_max",
        all.max() / share,
        "wait_p50",
        all.at(0.5) / share,
        "wait_p99",
        all.at(0.99) / share,
        "wait_p999",
        all.at(0.999) / share);
  }

  private static void timeout() throws Exception {
    HikariPool pool = poolOf(2);
    Connection[] held = {pool.getConnection(), pool.getConnection()};
    lateWaits(pool); // compiles
    Samples late = Samples.sorted(lateWaits(pool));
    report.add(
        "pool/timeout/hikaricp",
        late.at(0.5),
        "late_p99_ns",
        late.at(0.99),
        "late_max_ns",
        late.max());
    for (Connection connection : held) {
      connection.close();
    }
    pool.shutdown();
  }

  private static Samples[] lateWaits(HikariPool pool) throws Exception {
    int threads = 100;
    CyclicBarrier together = new CyclicBarrier(threads);
    Samples[] late = Samples.forThreads(threads);
    Crowd.gather(
        threads,
        0,
        0,
        (thread, window) -> {
          for (int round = 0; round < 20; round++) {
            together.await();
            long start = System.nanoTime();
            awaitTimeout(pool, 50);
            late[thread].add(System.nanoTime() - start - 50_000_000);
          }
        });
    return late;
  }

  private static void awaitTimeout(HikariPool pool, long millis) throws SQLException {
    try (Connection connection = pool.getConnection(millis)) {
      throw new IllegalStateException("there was " + connection);
    } catch (SQLTransientConnectionException expected) {
      return;
    }
  }

  private static void manyWaiters() throws Exception {
    HikariPool pool = poolOf(50);
    Crowd.Turns turns = Crowd.takeTurns(2000, 4000, (thread, n) -> pair(pool));
    report.add("pool/many_waiters/hikaricp", turns.nanos(), "starved", turns.starved());
    pool.shutdown();
  }

  private static void parked() throws Exception {
    HikariPool pool = poolOf(2);
    Connection[] held = {pool.getConnection(), pool.getConnection()};
    int threads = 32;
    long[] burnt = new long[threads];
    ThreadMXBean clock = ManagementFactory.getThreadMXBean();
    Crowd.gather(
        threads,
        0,
        0,
        (thread, window) -> {
          long before = clock.getCurrentThreadCpuTime();
          awaitTimeout(pool, 1000);
          burnt[thread] = clock.getCurrentThreadCpuTime() - before;
        });
    double mean = Arrays.stream(burnt).average().getAsDouble();
    report.add("pool/parked/hikaricp", mean, "cpu_percent", 100 * mean / 1e9);
    for (Connection connection : held) {
      connection.close();
    }
    pool.shutdown();
  }

  private static void busyHold() throws Exception {
    for (int threads : new int[] {8, 16, 64}) {
      HikariPool pool = poolOf(4);
      report.add(
          "pool/busy_hold/hikaricp/threads:" + threads,
          Crowd.takeTurns(
                  threads,
                  (thread, n) -> {
                    try (Connection connection = pool.getConnection()) {
                      connection.unwrap(FreeConnection.class).uses += (int) work(n) & 1;
                    }
                  })
              .nanos());
      pool.shutdown();
    }
  }

  private static long work(long seed) {
    long x = seed;
    for (int i = 0; i < 2000; i++) {
      x = x * 6364136223846793005L + 1442695040888963407L;
    }
    return x;
  }

  /** Only what HikariCP calls. */
  private static final class FreeConnections implements DataSource {
    @Override
    public Connection getConnection() {
      return new FreeConnection();
    }

    @Override
    public Connection getConnection(String user, String password) {
      return new FreeConnection();
    }

    @Override
    public PrintWriter getLogWriter() {
      return null;
    }

    @Override
    public void setLogWriter(PrintWriter out) {}

    @Override
    public void setLoginTimeout(int seconds) {}

    @Override
    public int getLoginTimeout() {
      return 0;
    }

    @Override
    public Logger getParentLogger() {
      return null;
    }

    @Override
    public <T> T unwrap(Class<T> type) {
      return null;
    }

    @Override
    public boolean isWrapperFor(Class<?> type) {
      return false;
    }
  }
}
