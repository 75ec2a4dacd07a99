package bench;

import com.fasterxml.jackson.core.*;
import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.*;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.*;
import org.apache.flink.api.common.serialization.*;
import org.apache.flink.api.common.state.*;
import org.apache.flink.api.common.typeinfo.*;
import org.apache.flink.api.java.tuple.*;
import org.apache.flink.configuration.*;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.*;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.datastream.*;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/**
 * The job in Flink's DataStream API. --mode keyed: deduplicated by event ID, counted in windows, then the top N. --mode fused: deduplicated and counted in one
 * operator, which saves a shuffle, and a timer for each event. Checkpoints every 10 s, at least once into Kafka. It reads what is in the topic and ends.
 */
public class FlinkTopK {
  static final long WIN = 10_000, OOO = 5_000, LATE = 30_000;
  static final int K = 100;
  static final AtomicLong late = new AtomicLong(), dups = new AtomicLong();

  public static class Ev { public String id, item, region; public long ts, n; public Ev() {} }
  /** one count of a window; r is the table it goes to, region where it comes from */
  public static class Cnt { public long w, n; public String r, region, item; public Cnt() {}
    Cnt(long w, String r, String region, String item, long n) { this.w = w; this.r = r; this.region = region; this.item = item; this.n = n; } }

  public static class Deser extends AbstractDeserializationSchema<Ev> {
    static final JsonFactory JF = new JsonFactory();
    @Override public Ev deserialize(byte[] b) throws java.io.IOException {
      Ev e = new Ev();
      try (JsonParser p = JF.createParser(b)) {
        p.nextToken();
        while (p.nextToken() == JsonToken.FIELD_NAME) {
          String f = p.currentName(); p.nextToken();
          switch (f) {
            case "event_id" -> e.id = p.getText();
            case "item_id" -> e.item = p.getText();
            case "region" -> e.region = p.getText();
            case "ts" -> e.ts = p.getLongValue();
            case "count" -> e.n = p.getLongValue();
            default -> p.skipChildren();
          }
        }
      }
      return e;
    }
  }

  static class Dedup extends KeyedProcessFunction<String, Ev, Ev> {
    transient ValueState<Boolean> seen;
    @Override public void open(org.apache.flink.api.common.functions.OpenContext c) {
      seen = getRuntimeContext().getState(new ValueStateDescriptor<>("seen", Types.BOOLEAN));
    }
    @Override public void processElement(Ev e, Context cx, Collector<Ev> out) throws Exception {
      long end = e.ts - e.ts % WIN + WIN + LATE;
      if (end - 1 <= cx.timerService().currentWatermark()) { late.incrementAndGet(); return; }
      if (seen.value() != null) { dups.incrementAndGet(); return; }
      seen.update(true);
      cx.timerService().registerEventTimeTimer(end);
      out.collect(e);
    }
    @Override public void onTimer(long t, OnTimerContext cx, Collector<Ev> out) { seen.clear(); }
  }

  static class Sum implements AggregateFunction<Ev, Long, Long> {
    public Long createAccumulator() { return 0L; }
    public Long add(Ev e, Long a) { return a + e.n; }
    public Long getResult(Long a) { return a; }
    public Long merge(Long a, Long b) { return a + b; }
  }
  static class Emit extends ProcessWindowFunction<Long, Cnt, String, TimeWindow> {
    @Override public void process(String k, Context cx, Iterable<Long> it, Collector<Cnt> out) {
      int b = k.indexOf('|');
      out.collect(new Cnt(cx.window().getStart(), null, k.substring(0, b), k.substring(b + 1), it.iterator().next()));
    }
  }

  /** dedup and count where (window, region, item) lives: one shuffle less, timers per key and not per event */
  static class Fused extends KeyedProcessFunction<Tuple3<Long, String, String>, Ev, Cnt> {
    transient MapState<String, Boolean> ids;
    transient ValueState<Long> n;
    @Override public void open(org.apache.flink.api.common.functions.OpenContext c) {
      ids = getRuntimeContext().getMapState(new MapStateDescriptor<>("ids", Types.STRING, Types.BOOLEAN));
      n = getRuntimeContext().getState(new ValueStateDescriptor<>("n", Types.LONG));
    }
    @Override public void processElement(Ev e, Context cx, Collector<Cnt> out) throws Exception {
      long w = e.ts - e.ts % WIN, wm = cx.timerService().currentWatermark();
      if (w + WIN + LATE - 1 <= wm) { late.incrementAndGet(); return; }
      if (ids.contains(e.id)) { dups.incrementAndGet(); return; }
      ids.put(e.id, true);
      Long old = n.value();
      long x = old == null ? e.n : old + e.n;
      n.update(x);
      if (old == null) { cx.timerService().registerEventTimeTimer(w + WIN - 1); cx.timerService().registerEventTimeTimer(w + WIN + LATE); }
      else if (w + WIN - 1 <= wm) out.collect(new Cnt(w, null, e.region, e.item, x));
    }
    @Override public void onTimer(long t, OnTimerContext cx, Collector<Cnt> out) throws Exception {
      var k = cx.getCurrentKey();
      if (t == k.f0 + WIN + LATE) { ids.clear(); n.clear(); return; }
      if (n.value() != null) out.collect(new Cnt(k.f0, null, k.f1, k.f2, n.value()));
    }
  }

  static class TopN extends KeyedProcessFunction<Tuple2<Long, String>, Cnt, String> {
    transient MapState<String, Long> m;
    @Override public void open(org.apache.flink.api.common.functions.OpenContext c) {
      m = getRuntimeContext().getMapState(new MapStateDescriptor<>("m", Types.STRING, Types.LONG));
    }
    @Override public void processElement(Cnt c, Context cx, Collector<String> out) throws Exception {
      m.put(c.region + "|" + c.item, c.n);
      cx.timerService().registerEventTimeTimer(c.w + WIN - 1);
      cx.timerService().registerEventTimeTimer(c.w + WIN + LATE);
    }
    @Override public void onTimer(long t, OnTimerContext cx, Collector<String> out) throws Exception {
      long w = cx.getCurrentKey().f0; String r = cx.getCurrentKey().f1;
      if (t == w + WIN + LATE) { m.clear(); return; }
      HashMap<String, Long> s = new HashMap<>();
      long n = 0;
      for (var e : m.entries()) { n += e.getValue(); s.merge(e.getKey().substring(e.getKey().indexOf('|') + 1), e.getValue(), Long::sum); }
      out.collect(render(w, r, n, s));
    }
  }

  static String render(long w, String r, long n, Map<String, Long> s) {
    Comparator<Map.Entry<String, Long>> best = (a, b) -> { int c = Long.compare(b.getValue(), a.getValue()); return c != 0 ? c : b.getKey().compareTo(a.getKey()); };
    PriorityQueue<Map.Entry<String, Long>> q = new PriorityQueue<>(best.reversed());
    for (var e : s.entrySet()) { q.add(e); if (q.size() > K) q.poll(); }
    var l = new ArrayList<>(q); l.sort(best);
    StringBuilder b = new StringBuilder(4096).append("{\"w\":").append(w).append(",\"r\":\"").append(r).append("\",\"n\":").append(n).append(",\"top\":[");
    for (int i = 0; i < l.size(); i++) { if (i > 0) b.append(','); b.append("[\"").append(l.get(i).getKey()).append("\",").append(l.get(i).getValue()).append(']'); }
    return b.append("]}").toString();
  }

  static String opt(String[] a, String k) {
    for (int i = 0; i + 1 < a.length; i++) if (a[i].equals("--" + k)) return a[i + 1];
    throw new IllegalArgumentException("--" + k + " is missing");
  }

  public static void main(String[] a) throws Exception {
    String brokers = opt(a, "brokers"), topic = opt(a, "topic"), mode = opt(a, "mode");
    Configuration c = new Configuration();
    c.setString("state.backend.type", "hashmap");
    c.setString("execution.checkpointing.storage", "filesystem");
    c.setString("execution.checkpointing.dir", Path.of(opt(a, "checkpoints")).toAbsolutePath().toUri().toString());
    c.setString("execution.checkpointing.interval", "10s");
    c.setString("pipeline.object-reuse", "true");
    c.setString("pipeline.max-parallelism", "128");
    StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(2, c);
    KafkaSink<String> sink = KafkaSink.<String>builder().setBootstrapServers(brokers).setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .setRecordSerializer(KafkaRecordSerializationSchema.builder().setTopic(opt(a, "out")).setValueSerializationSchema(new SimpleStringSchema()).build()).build();
    KafkaSource<Ev> src = KafkaSource.<Ev>builder().setBootstrapServers(brokers).setTopics(topic).setGroupId("flink-" + System.currentTimeMillis())
        .setStartingOffsets(OffsetsInitializer.earliest()).setBounded(OffsetsInitializer.latest()).setValueOnlyDeserializer(new Deser()).build();
    WatermarkStrategy<Ev> ws = WatermarkStrategy.<Ev>forBoundedOutOfOrderness(Duration.ofMillis(OOO)).withTimestampAssigner((e, t) -> e.ts);
    DataStream<Ev> ev = env.fromSource(src, ws, "src");
    DataStream<Cnt> counts = mode.equals("fused")
        ? ev.keyBy(e -> Tuple3.of(e.ts - e.ts % WIN, e.region, e.item), Types.TUPLE(Types.LONG, Types.STRING, Types.STRING)).process(new Fused())
        : ev.keyBy(e -> e.id).process(new Dedup()).keyBy(e -> e.region + "|" + e.item)
            .window(TumblingEventTimeWindows.of(Duration.ofMillis(WIN))).allowedLateness(Duration.ofMillis(LATE)).aggregate(new Sum(), new Emit());
    counts.flatMap((FlatMapFunction<Cnt, Cnt>) (x, o) -> {
          if (x.region.startsWith("_")) return;
          o.collect(new Cnt(x.w, x.region, x.region, x.item, x.n));
          o.collect(new Cnt(x.w, "*", x.region, x.item, x.n));
        }).returns(Cnt.class)
        .keyBy(x -> Tuple2.of(x.w, x.r), Types.TUPLE(Types.LONG, Types.STRING)).process(new TopN()).sinkTo(sink);
    env.execute("topk");
    System.out.println("late " + late.get() + ", sent again " + dups.get());
    System.out.flush();
    System.exit(0);
  }
}
