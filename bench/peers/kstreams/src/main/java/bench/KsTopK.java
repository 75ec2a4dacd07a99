package bench;

import com.fasterxml.jackson.core.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;

/**
 * The job in Kafka Streams' Processor API: deduplicated and counted where the record lands, merged downstream. --store mem or rocksdb, both with changelogs;
 * --eos true for exactly_once_v2. It goes on until it is told to end.
 */
public class KsTopK {
  static final long WIN = 10_000, OOO = 5_000, LATE = 30_000;
  static final int K = 100, ITEMS = 8;
  /** of the events topic */
  static int PARTITIONS;
  static final JsonFactory JF = new JsonFactory();
  static final AtomicLong late = new AtomicLong(), dups = new AtomicLong();

  record Ic(String item, long n) {}
  static final Comparator<Ic> BEST = (a, b) -> a.n != b.n ? Long.compare(b.n, a.n) : b.item.compareTo(a.item);

  /** keeps the K best; counts may only grow */
  static final class Top {
    final HashMap<String, Long> in = new HashMap<>();
    final TreeSet<Ic> set = new TreeSet<>(BEST);
    long n;
    void offer(String item, long c) {
      Long old = in.get(item);
      if (old != null) { set.remove(new Ic(item, old)); set.add(new Ic(item, c)); in.put(item, c); return; }
      if (set.size() < K) { set.add(new Ic(item, c)); in.put(item, c); return; }
      Ic w = set.last();
      if (c < w.n) return;
      Ic x = new Ic(item, c);
      if (BEST.compare(x, w) < 0) { set.pollLast(); in.remove(w.item); set.add(x); in.put(item, c); }
    }
  }

  static byte[] enc(long w, int src, long n, Collection<Ic> l) {
    StringBuilder s = new StringBuilder("L").append(w).append(',').append(src).append(',').append(n);
    for (Ic i : l) s.append(',').append(i.item).append(',').append(i.n);
    return s.toString().getBytes(StandardCharsets.UTF_8);
  }

  static final class Count implements Processor<byte[], byte[], byte[], byte[]> {
    ProcessorContext<byte[], byte[]> cx;
    WindowStore<Bytes, byte[]> seenStore;
    KeyValueStore<Bytes, Long> cnt;
    final TreeSet<Long> open = new TreeSet<>(), done = new TreeSet<>(), dirty = new TreeSet<>();
    long max = Long.MIN_VALUE, nextCheck;
    static final byte[] ONE = {1};
    byte[] buf = new byte[256];

    @Override public void init(ProcessorContext<byte[], byte[]> c) {
      cx = c; seenStore = c.getStateStore("seen"); cnt = c.getStateStore("cnt");
    }

    @Override public void process(Record<byte[], byte[]> r) {
      String id = null, item = null, region = null; long ts = 0, inc = 0;
      try (JsonParser p = JF.createParser(r.value())) {
        p.nextToken();
        while (p.nextToken() == JsonToken.FIELD_NAME) {
          String f = p.currentName(); p.nextToken();
          switch (f) {
            case "event_id" -> id = p.getText();
            case "item_id" -> item = p.getText();
            case "region" -> region = p.getText();
            case "ts" -> ts = p.getLongValue();
            case "count" -> inc = p.getLongValue();
            default -> p.skipChildren();
          }
        }
      } catch (java.io.IOException e) { return; }
      if (ts > max) max = ts;
      long w = ts - ts % WIN;
      if (w + WIN + LATE <= max - OOO) { late.incrementAndGet(); return; }
      Bytes k = Bytes.wrap(id.getBytes(StandardCharsets.ISO_8859_1));
      if (seenStore.fetch(k, w) != null) { dups.incrementAndGet(); return; }
      seenStore.put(k, ONE, w);
      Bytes ck = key(w, region, item);
      Long old = cnt.get(ck);
      cnt.put(ck, old == null ? inc : old + inc);
      if (done.contains(w)) { dirty.add(w); if (!region.startsWith("_")) sendItem(r, w, item, inc); }
      else open.add(w);
      if (max >= nextCheck) { nextCheck = max + 500; close(r); }
    }

    Bytes key(long w, String region, String item) {
      ByteBuffer b = ByteBuffer.allocate(9 + region.length() + item.length());
      b.putLong(w).put(region.getBytes(StandardCharsets.ISO_8859_1)).put((byte) '|').put(item.getBytes(StandardCharsets.ISO_8859_1));
      return Bytes.wrap(b.array());
    }

    void sendItem(Record<byte[], byte[]> r, long w, String item, long d) {
      byte[] v = ByteBuffer.allocate(17).put((byte) 'I').putLong(w).putLong(d).array();
      cx.forward(r.withKey(item.getBytes(StandardCharsets.UTF_8)).withValue(v).withTimestamp(w));
    }

    void close(Record<byte[], byte[]> r) {
      long wm = max - OOO;
      while (!open.isEmpty() && open.first() + WIN <= wm) {
        long w = open.pollFirst(); done.add(w); emit(r, w, true);
      }
      for (long w : dirty) emit(r, w, false);
      dirty.clear();
      while (!done.isEmpty() && done.first() + WIN + LATE <= wm) {
        long w = done.pollFirst();
        List<Bytes> del = new ArrayList<>();
        try (var it = cnt.range(bound(w), bound(w + WIN))) { while (it.hasNext()) del.add(it.next().key); }
        for (Bytes b : del) cnt.delete(b);
      }
    }

    Bytes bound(long w) { return Bytes.wrap(ByteBuffer.allocate(8).putLong(w).array()); }

    void emit(Record<byte[], byte[]> r, long w, boolean items) {
      Map<String, Top> tops = new HashMap<>();
      Map<String, Long> sums = new HashMap<>();
      try (var it = cnt.range(bound(w), bound(w + WIN))) {
        while (it.hasNext()) {
          var e = it.next();
          String s = new String(e.key.get(), 8, e.key.get().length - 8, StandardCharsets.ISO_8859_1);
          int bar = s.indexOf('|');
          String region = s.substring(0, bar), item = s.substring(bar + 1);
          if (region.startsWith("_")) continue;
          Top t = tops.computeIfAbsent(region, x -> new Top());
          t.offer(item, e.value); t.n += e.value;
          if (items) sums.merge(item, e.value, Long::sum);
        }
      }
      int src = cx.taskId().partition();
      tops.forEach((region, t) -> cx.forward(r.withKey(region.getBytes(StandardCharsets.UTF_8)).withValue(enc(w, src, t.n, t.set)).withTimestamp(w)));
      if (items) sums.forEach((item, n) -> sendItem(r, w, item, n));
    }
  }

  /** sums an item over the regions, keeps this partition's best items of each window */
  static final class Items implements Processor<byte[], byte[], byte[], byte[]> {
    ProcessorContext<byte[], byte[]> cx;
    WindowStore<Bytes, Long> sum;
    final TreeMap<Long, Top> tops = new TreeMap<>();
    final TreeSet<Long> dirty = new TreeSet<>();
    @Override public void init(ProcessorContext<byte[], byte[]> c) {
      cx = c; sum = c.getStateStore("isum");
      c.schedule(Duration.ofMillis(500), PunctuationType.WALL_CLOCK_TIME, now -> flush());
    }
    @Override public void process(Record<byte[], byte[]> r) {
      ByteBuffer b = ByteBuffer.wrap(r.value()); b.get();
      long w = b.getLong(), d = b.getLong();
      Bytes k = Bytes.wrap(r.key());
      Long old = sum.fetch(k, w);
      long n = old == null ? d : old + d;
      sum.put(k, n, w);
      Top t = tops.computeIfAbsent(w, x -> new Top());
      t.offer(new String(r.key(), StandardCharsets.UTF_8), n); t.n += d;
      dirty.add(w);
      while (tops.size() > 64) tops.pollFirstEntry();
    }
    void flush() {
      for (long w : dirty) {
        Top t = tops.get(w);
        if (t != null) cx.forward(new Record<>(new byte[] {'*'}, enc(w, cx.taskId().partition(), t.n, t.set), w));
      }
      dirty.clear();
    }
  }

  static final class Merge implements Processor<byte[], byte[], byte[], byte[]> {
    ProcessorContext<byte[], byte[]> cx;
    WindowStore<Bytes, byte[]> st;
    @Override public void init(ProcessorContext<byte[], byte[]> c) { cx = c; st = c.getStateStore("parts"); }
    @Override public void process(Record<byte[], byte[]> r) {
      String region = new String(r.key(), StandardCharsets.UTF_8);
      String[] h = new String(r.value(), 1, r.value().length - 1, StandardCharsets.UTF_8).split(",", 3);
      long w = Long.parseLong(h[0]);
      st.put(Bytes.wrap((region + "|" + h[1]).getBytes(StandardCharsets.UTF_8)), r.value(), w);
      List<Ic> all = new ArrayList<>();
      long n = 0;
      for (int p = 0; p < Math.max(PARTITIONS, ITEMS); p++) {
        byte[] v = st.fetch(Bytes.wrap((region + "|" + p).getBytes(StandardCharsets.UTF_8)), w);
        if (v == null) continue;
        String[] f = new String(v, 1, v.length - 1, StandardCharsets.UTF_8).split(",");
        n += Long.parseLong(f[2]);
        for (int i = 3; i + 1 < f.length; i += 2) all.add(new Ic(f[i], Long.parseLong(f[i + 1])));
      }
      all.sort(BEST);
      StringBuilder s = new StringBuilder(4096).append("{\"w\":").append(w).append(",\"r\":\"").append(region).append("\",\"n\":").append(n).append(",\"top\":[");
      for (int i = 0; i < Math.min(K, all.size()); i++) {
        if (i > 0) s.append(',');
        s.append("[\"").append(all.get(i).item).append("\",").append(all.get(i).n).append(']');
      }
      cx.forward(r.withKey((region + w).getBytes(StandardCharsets.UTF_8)).withValue(s.append("]}").toString().getBytes(StandardCharsets.UTF_8)));
    }
  }

  static String opt(String[] a, String k) {
    for (int i = 0; i + 1 < a.length; i++) if (a[i].equals("--" + k)) return a[i + 1];
    throw new IllegalArgumentException("--" + k + " is missing");
  }

  public static void main(String[] a) throws Exception {
    PARTITIONS = Integer.parseInt(opt(a, "partitions"));
    boolean mem = opt(a, "store").equals("mem");
    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, opt(a, "app"));
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, opt(a, "brokers"));
    p.put(StreamsConfig.STATE_DIR_CONFIG, opt(a, "state"));
    p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, "2");
    p.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    p.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    p.put("auto.offset.reset", "earliest");
    if (opt(a, "eos").equals("true")) p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);

    StreamsBuilder b = new StreamsBuilder();
    b.addStateStore(Stores.windowStoreBuilder(win("seen", 60, mem), Serdes.Bytes(), Serdes.ByteArray()));
    b.addStateStore(Stores.keyValueStoreBuilder(mem ? Stores.inMemoryKeyValueStore("cnt") : Stores.persistentKeyValueStore("cnt"), Serdes.Bytes(), Serdes.Long()).withCachingEnabled());
    b.addStateStore(Stores.windowStoreBuilder(win("isum", 300, mem), Serdes.Bytes(), Serdes.Long()).withCachingEnabled());
    b.addStateStore(Stores.windowStoreBuilder(win("parts", 600, mem), Serdes.Bytes(), Serdes.ByteArray()));
    KStream<byte[], byte[]> s1 = b.<byte[], byte[]>stream(opt(a, "topic")).process(Count::new, "seen", "cnt");
    KStream<byte[], byte[]> glob = s1.filter((k, v) -> v[0] == 'I')
        .repartition(Repartitioned.<byte[], byte[]>as("items").withNumberOfPartitions(ITEMS)).process(Items::new, "isum");
    s1.filter((k, v) -> v[0] == 'L').merge(glob)
        .repartition(Repartitioned.<byte[], byte[]>as("lists").withNumberOfPartitions(4)).process(Merge::new, "parts")
        .to(opt(a, "out"));
    KafkaStreams ks = new KafkaStreams(b.build(), p);
    CountDownLatch end = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      System.out.println("late " + late.get() + ", sent again " + dups.get());
      ks.close(Duration.ofSeconds(20));
      System.out.flush();
    }));
    ks.setUncaughtExceptionHandler(e -> { e.printStackTrace(); return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.SHUTDOWN_CLIENT; });
    ks.start();
    end.await();
  }

  static WindowBytesStoreSupplier win(String n, long sec, boolean mem) {
    return mem ? Stores.inMemoryWindowStore(n, Duration.ofSeconds(sec), Duration.ofMillis(WIN), false)
        : Stores.persistentWindowStore(n, Duration.ofSeconds(sec), Duration.ofMillis(WIN), false);
  }
}
