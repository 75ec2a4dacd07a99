package operators

func reset() error {
	last = nil // want "package variable last is assigned"
	calls := 0 // a local of the same name is fine
	calls++
	return ErrFull
}
