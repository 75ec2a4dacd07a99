package mutants

// tableMutants break the table of cells and totals.
func tableMutants() []Mutant {
	const table = "operators/table.go"
	tables := []string{"TestTable"}
	return []Mutant{{
		Name: "table/source-lost", File: table, CaughtBy: []string{rankSpecification},
		Mistake: "A cell's source is lost when its count changes.",
		Edits:   []Edit{{`e.counted.set(e.counted.get()&^countMask | uint64(e.count()+n)&countMask)`, `e.counted.set(uint64(e.count()+n) & countMask)`}},
	}, {
		Name: "table/sources-together", File: table, CaughtBy: []string{rankSpecification},
		Mistake: "Cells of different sources are one.",
		Edits:   []Edit{{` && e.source() == source {`, ` {`}, {`mix(uint64(item)|uint64(group)<<32) ^ uint64(source)*0x9e3779b97f4a7c15`, `mix(uint64(item) | uint64(group)<<32)`}},
	}, {
		Name: "table/not-ordered-by-hash", File: table, CaughtBy: tables,
		Mistake: "Entries stand in the order in which they came, which growing relies on not being so.",
		Edits:   []Edit{{`if e.item == 0 || e.hash() > hash {`, `if e.item == 0 {`}},
	}, {
		Name: "table/grows-over-neighbours", File: table, CaughtBy: tables,
		Mistake: "In a table that grows, entries overwrite their neighbours.",
		Edits:   []Edit{{`next = at + 1`, `next = at`}},
	}, {
		Name: "table/shift-drops-the-last", File: table, CaughtBy: tables,
		Mistake: "Making room for an entry loses the last one that moves.",
		Edits:   []Edit{{`copy(t.slots[i+1:gap+1], t.slots[i:gap])`, `copy(t.slots[i+1:gap], t.slots[i:gap])`}},
	}, {
		Name: "table/high-word-lost", File: table, CaughtBy: []string{"TestEntrySums"},
		Mistake: "A negative value's sign isn't carried into a total's upper bits.",
		Edits:   []Edit{{`is>>63-was>>63+int64(carry)-int64(borrow)`, `int64(carry)-int64(borrow)`}},
	}, {
		Name: "table/saturates-the-wrong-way", File: table, CaughtBy: []string{"TestEntrySums"},
		Mistake: "A total below int64 stands at its upper end.",
		Edits:   []Edit{{`case high < 0:`, `case high > 0:`}},
	}}
}

// indexMutants break the index of hashes, and the names that it leads to.
func indexMutants() []Mutant {
	const index, names = "operators/index.go", "operators/names.go"
	indexes, interned := []string{"TestIndex"}, []string{"TestNames"}
	return []Mutant{{
		Name: "index/search-ends-early", File: index, CaughtBy: indexes,
		Mistake: "What follows an entry that was taken out isn't found any more.",
		Edits:   []Edit{{`ix.slots[hole], hole = s, i`, `hole = i`}},
	}, {
		Name: "index/moved-before-its-home", File: index, CaughtBy: indexes,
		Mistake: "An entry moves into a gap before the slot at which its search begins.",
		Edits:   []Edit{{`(i-h+n)%n >= (i-hole+n)%n {`, `(i-h+n)%n >= 0 {`}},
	}, {
		Name: "index/moves-too-little", File: index, CaughtBy: indexes,
		Mistake: "An entry whose home is the gap itself doesn't move there.",
		Edits:   []Edit{{`(i-h+n)%n >= (i-hole+n)%n {`, `(i-h+n)%n > (i-hole+n)%n {`}},
	}, {
		Name: "index/no-wrap", File: index, CaughtBy: indexes,
		Mistake: "Across the end of the table, an entry that must move doesn't.",
		Edits:   []Edit{{`(i-h+n)%n >= (i-hole+n)%n {`, `i-h >= i-hole {`}},
	}, {
		Name: "index/hashes-are-keys", File: index, CaughtBy: indexes,
		Mistake: "The search ends at the first slot with another hash.",
		Edits: []Edit{{`if s == 0 {
			break`, `if s == 0 || s>>32 != p.tag {
			break`}},
	}, {
		Name: "index/rebuild-loses-tags", File: index, CaughtBy: indexes,
		Mistake: "In a table that grows, entries stand under other hashes.",
		Edits:   []Edit{{`ix.insert(s>>32, uint32(s))`, `ix.insert(tag(uint32(s)), uint32(s))`}},
	}, {
		Name: "names/forgotten-but-found", File: names, CaughtBy: interned,
		Mistake: "A string that was forgotten is still found, under a number that is another's.",
		Edits:   []Edit{{`n.index.remove(hashName(b), i)`, ``}},
	}, {
		Name: "names/forgotten-too-early", File: names, CaughtBy: interned,
		Mistake: "A string is forgotten when it was first needed until, though it is needed for longer by now.",
		Edits:   []Edit{{`if n.until(i) < until {`, `if n.until(i) > until {`}},
	}, {
		Name: "names/place-too-small", File: names, CaughtBy: interned,
		Mistake: "The place of a string that is gone is given to a longer one, which runs into its neighbour.",
		Edits:   []Edit{{`return nameHead + (length+3)&^3`, `return nameHead + length&^3`}},
	}}
}
