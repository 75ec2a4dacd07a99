package deployments

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

const dashboardFile = "deployments/grafana/millrank.json"

// panel is a panel of a dashboard, as far as it matters here.
type panel struct {
	ID      int    `json:"id"`
	Type    string `json:"type"`
	Title   string `json:"title"`
	Targets []struct {
		Expr   string `json:"expr"`
		Legend string `json:"legendFormat"`
	} `json:"targets"`
	GridPos struct{ X, Y, W, H int } `json:"gridPos"`
}

func panels(t *testing.T) []panel {
	t.Helper()
	var d struct {
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 40 {
		t.Fatalf("the dashboard has %d panels", len(d.Panels))
	}
	return d.Panels
}

// TestDashboardShape: panels have numbers and places of their own, and something to show.
func TestDashboardShape(t *testing.T) {
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range panels(t) {
		if ids[p.ID] {
			t.Errorf("%s: another panel has the id %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("%s is a %s with %d queries", p.Title, p.Type, len(p.Targets))
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s is where %q is, or beyond the edge", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
}

// canary is a query that has no answer.
const canary = "millrank_canary"

// answer returns the known list of the whole day.
func answer(t *testing.T) string {
	t.Helper()
	packed, err := gzip.NewReader(strings.NewReader(read(t, "data/wikipedia-edits/expected-count-1d.json.gz")))
	if err != nil {
		t.Fatal(err)
	}
	var known struct {
		Windows []struct {
			Region *string  `json:"region"`
			Top    [][2]any `json:"top"`
		} `json:"windows"`
	}
	if err := json.NewDecoder(packed).Decode(&known); err != nil {
		t.Fatal(err)
	}
	if len(known.Windows) == 0 || known.Windows[0].Region != nil || len(known.Windows[0].Top) != 10 {
		t.Fatal("the data set's answers don't begin with the day's list of all regions")
	}
	return fmt.Sprint(known.Windows[0].Top)
}

// step is how far apart scrapes are in the database. They are taken faster, so rates are too low; only what is there matters.
const step = 15 * time.Second

// TestStack runs what docker-compose.yml runs, and asks for all that the dashboard shows: every query of every panel has an answer. Alerts stay silent.
func TestStack(t *testing.T) {
	s := newStack(t)
	s.ends("topics")
	s.ends("migrate")
	s.goes("millrank")
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	began := time.Now().Add(-2 * time.Hour).Truncate(time.Minute)
	q := &querier{T: t, db: db, engine: promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute}), lacking: map[string]string{}}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			q.lacking[target.Expr] = p.Title
		}
	}
	q.lacking[canary] = "canary"
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		s.ends("producer", "--speed=60", "--speed=4800") // a day in 18 s
	}()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	at, done := began, (<-chan time.Time)(nil)
	for ending := false; !ending; {
		select {
		case <-ticker.C:
			text, contentType := s.scrape()
			if text == nil {
				continue
			}
			at = at.Add(step)
			q.take(at, text, contentType)
			q.ask(at)
		case <-produced:
			produced, done = nil, time.After(4*time.Second) // until all has arrived
		case <-done:
			ending = true
		}
	}
	if q.lacking[canary] == "" {
		t.Error("this test would find an answer to anything")
	}
	delete(q.lacking, canary)
	for expr, title := range q.lacking {
		t.Errorf("%s: there is nothing to show for %s", title, expr)
	}
	for _, r := range rules(t).Groups[0].Rules {
		if found := q.query(r.Expr, at); len(found) > 0 && r.Labels["severity"] == "critical" {
			t.Errorf("%s: %s finds %v in a stream that is well", r.Alert, r.Expr, found)
		}
	}
	const key = "wikipedia:global:top_k:edits-day:final"
	s.until("the day's board is final", func() bool { return len(s.entries(key)) > 0 })
	if got, want := fmt.Sprint(s.entries(key)), answer(t); got != want {
		t.Errorf("the most edited pages of the day are\n%s, want\n%s", got, want)
	}
}

// querier is a database of scrapes, and what has not been found in it yet.
type querier struct {
	*testing.T
	db      *tsdb.DB
	engine  *promql.Engine
	lacking map[string]string // queries, with their panels' titles
}

// take puts a scrape into the database.
func (q *querier) take(at time.Time, text []byte, contentType string) {
	q.Helper()
	p, err := textparse.New(text, contentType, nil, textparse.ParserOptions{})
	if err != nil {
		q.Fatal(err)
	}
	app := q.db.Appender(q.Context())
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			q.Fatalf("/metrics: %v", err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var l labels.Labels
		p.Labels(&l)
		b := labels.NewBuilder(l)
		b.Set("job", "millrank").Set("instance", "millrank:8080")
		_, _, v := p.Series()
		if _, err := app.Append(0, b.Labels(), at.UnixMilli(), v); err != nil {
			q.Fatalf("%v: %v", b.Labels(), err)
		}
	}
	if err := app.Commit(); err != nil {
		q.Fatal(err)
	}
}

// ask takes out of lacking what has an answer.
func (q *querier) ask(at time.Time) {
	q.Helper()
	for expr := range q.lacking {
		if len(q.query(expr, at)) > 0 {
			delete(q.lacking, expr)
		}
	}
}

var variable = regexp.MustCompile(`\$[a-zA-Z_]+`)

// query returns the values that a query has at a time, those that are numbers.
func (q *querier) query(expr string, at time.Time) []promql.Sample {
	q.Helper()
	expr = strings.NewReplacer("$job", ".*", "$__rate_interval", "1m").Replace(expr)
	if left := variable.FindString(expr); left != "" {
		q.Fatalf("nobody knows %s", left)
	}
	query, err := q.engine.NewInstantQuery(q.Context(), q.db, nil, expr, at)
	if err != nil {
		q.Fatalf("%s: %v", expr, err)
	}
	defer query.Close()
	result := query.Exec(q.Context())
	if result.Err != nil {
		q.Fatalf("%s: %v", expr, result.Err)
	}
	found, err := result.Vector()
	if err != nil {
		q.Fatalf("%s: %v", expr, err)
	}
	var numbers []promql.Sample
	for _, f := range found {
		if !math.IsNaN(f.F) {
			numbers = append(numbers, f)
		}
	}
	return numbers
}

// TestQueries: what the chart scales by is a query that Prometheus understands.
func TestQueries(t *testing.T) {
	for _, expr := range []string{`sum(millrank_partition_lag{namespace="prod",service="shop-millrank",millrank_handler=~"history-cells|history-rankings"})`} {
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(expr); err != nil {
			t.Error(err)
		}
	}
}
