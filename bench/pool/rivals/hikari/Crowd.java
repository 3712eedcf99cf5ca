import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** Threads that do the same thing over and over while a window of time is open: crowd.h in Java. */
final class Crowd {
  /** What a thread does: loops until the window is over. */
  interface Body {
    void run(int thread, Window window) throws Exception;
  }

  /** The n-th turn of a thread. */
  interface Turn {
    void take(int thread, long n) throws Exception;
  }

  /** A turn's share of the wall time, all together, and how many threads had none. */
  record Turns(double nanos, long starved) {}

  /** Not yet open while the threads, and the compiler, come up to speed; then open; then over. */
  static final class Window {
    private volatile int phase;
    private volatile boolean interrupted;

    boolean opened() {
      return phase >= 1;
    }

    boolean over() {
      return phase == 2;
    }
  }

  private Crowd() {}

  /** Returns for how many nanoseconds the window was open, when all threads have ended. */
  static long gather(int threads, long rampMillis, long openMillis, Body body) throws Exception {
    return gather(threads, rampMillis, openMillis, /* interrupt= */ false, body);
  }

  private static long gather(
      int threads, long rampMillis, long openMillis, boolean interrupt, Body body)
      throws Exception {
    Window window = new Window();
    CountDownLatch ready = new CountDownLatch(threads);
    List<Thread> crowd = new ArrayList<>();
    for (int t = 0; t < threads; t++) {
      int thread = t;
      crowd.add(
          new Thread(
              () -> {
                try {
                  ready.countDown();
                  ready.await();
                  body.run(thread, window);
                } catch (Exception exception) {
                  if (window.interrupted) {
                    return;
                  }
                  exception.printStackTrace();
                  Runtime.getRuntime().halt(1);
                }
              }));
    }
    crowd.forEach(Thread::start);
    ready.await();
    Thread.sleep(rampMillis);
    long start = System.nanoTime();
    window.phase = 1;
    Thread.sleep(openMillis);
    long open = System.nanoTime() - start;
    window.phase = 2;
    if (interrupt) {
      window.interrupted = true;
      crowd.forEach(Thread::interrupt);
    }
    for (Thread thread : crowd) {
      thread.join();
    }
    return open;
  }

  /**
   * Turns that the end of the window finds waiting are interrupted: 2,000 threads of HikariCP may
   * need a minute to finish theirs, as who gives back yields until somebody who waits has taken.
   */
  static Turns takeTurns(int threads, Turn turn) throws Exception {
    return takeTurns(threads, 300, turn);
  }

  static Turns takeTurns(int threads, int openMillis, Turn turn) throws Exception {
    long[] turns = new long[threads];
    long open =
        gather(
            threads,
            500,
            openMillis,
            /* interrupt= */ true,
            (thread, window) -> {
              long n = 0;
              while (!window.opened()) {
                turn.take(thread, n++);
              }
              long before = n;
              while (!window.over()) {
                turn.take(thread, n++);
              }
              turns[thread] = n - before;
            });
    return new Turns(
        (double) open / Arrays.stream(turns).sum(),
        Arrays.stream(turns).filter(count -> count == 0).count());
  }
}
