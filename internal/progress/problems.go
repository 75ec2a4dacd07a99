package progress

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrank/millrank/pipeline/settings"
)

// groupProblems says which handlers nobody runs.
func groupProblems(st *State) []string {
	var problems []string
	var nobody, groups []string
	for _, g := range st.Groups {
		switch {
		case len(g.Members) == 0:
			nobody, groups = append(nobody, g.Handler), append(groups, g.Group)
		case g.State != "Stable":
			problems = append(problems, fmt.Sprintf("Group %s is rebalancing (%s): look again in a moment", g.Group, g.State))
		}
	}
	if len(nobody) > 0 {
		problems = append(problems, fmt.Sprintf("No process runs %s of generation %d: %s no members. Start 'millrank run'",
			strings.Join(nobody, ", "), st.Generation, choose(len(groups), "group "+groups[0]+" has", "groups "+strings.Join(groups, ", ")+" have")))
	}
	return problems
}

// commitProblems says what can't be resumed, and what nobody owns.
func commitProblems(st *State) []string {
	var problems []string
	look := func(topic, handler string, c Commit, orphans *[]int) {
		if c.Problem != "" {
			problems = append(problems, fmt.Sprintf("%s partition %d: %s", topic, c.Partition, c.Problem))
		}
		for _, g := range st.Groups {
			if g.Handler == handler && g.State == "Stable" && c.Owner == "" {
				*orphans = append(*orphans, c.Partition)
			}
		}
	}
	say := func(topic string, orphans []int) {
		if len(orphans) > 0 {
			problems = append(problems, fmt.Sprintf("%s: no process owns %s, though others run: see their logs", topic, named("partition", orphans)))
		}
	}
	var orphans []int
	for _, one := range st.Sources {
		look(st.SourceTopic, settings.Intake, one.Commit, &orphans)
	}
	say(st.SourceTopic, orphans)
	orphans = nil
	for _, one := range st.Shards {
		look(st.UpdatesTopic, settings.Rank, one.Commit, &orphans)
	}
	say(st.UpdatesTopic, orphans)
	orphans = nil
	for _, one := range st.Rankings {
		look(st.RankingsTopic, settings.Leaderboard, one.Commit, &orphans)
	}
	say(st.RankingsTopic, orphans)
	return problems
}

// processProblems says which handlers can't go on.
func processProblems(st *State) []string {
	var problems []string
	for i, p := range st.Processes {
		name := "a process"
		if len(st.Processes) > 1 {
			name = "process " + strconv.Itoa(i+1)
		}
		if p.Error != "" {
			problems = append(problems, fmt.Sprintf("%s: %s", name, p.Error))
		}
		for _, h := range p.Handlers {
			if h.State != "running" && h.State != "replaying" {
				problems = append(problems, strings.TrimSuffix(fmt.Sprintf("%s of %s is %s: %s", h.Name, name, h.State, h.Error), ": "))
			}
		}
	}
	return problems
}

// clock writes a time for people.
func clock(t Time) string {
	if t == NoTime {
		return "no time yet"
	}
	return time.UnixMilli(int64(t)).UTC().Format("2006-01-02 15:04:05")
}

// apart is how far a time is after another; one after no time, very far.
func apart(from, to Time) time.Duration {
	if from == to {
		return 0
	}
	const far = time.Duration(1<<63 - 1)
	if from == NoTime {
		return far
	}
	if ms := int64(to - from); ms < far.Milliseconds() {
		return time.Duration(ms) * time.Millisecond
	}
	return far
}

func compareTimes(a, b Time) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func numbers(sources []Source) []int {
	list := make([]int, len(sources))
	for i, one := range sources {
		list[i] = one.Partition
	}
	return list
}

// named lists partitions, not too many of them.
func named(what string, list []int) string {
	const most = 8
	words := []string{}
	for i, n := range list {
		if i == most {
			words = append(words, fmt.Sprintf("%d more", len(list)-most))
			break
		}
		words = append(words, strconv.Itoa(n))
	}
	if len(words) == 1 {
		return what + " " + words[0]
	}
	return what + "s " + strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func holds(list []Source) string {
	name := named("Partition", numbers(list))
	return choose(len(list), name+" holds time", name+" hold time")
}

func is(list []Source) string   { return choose(len(list), "it is", "they are") }
func them(list []Source) string { return choose(len(list), "it", "them") }

func are(list []Source) string {
	if len(list) == 1 {
		return fmt.Sprintf("partition %d is", list[0].Partition)
	}
	return fmt.Sprintf("%d others are", len(list))
}

func count(n int, what string) string { return choose(n, "1 "+what, fmt.Sprintf("%d %ss", n, what)) }

func choose(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}
