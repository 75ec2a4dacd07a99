package microbatch

// ParseCommit reads the metadata that goes with a committed offset of a Subscriber's group, for those who look on from outside: what it
// belongs to, and the state that Claim.Commit was given. The error is ErrDamaged or ErrFormat.
func ParseCommit(metadata string) (Identity, string, error) {
	m, err := parseMetadata(metadata)
	if err != nil {
		return Identity{}, "", err
	}
	return m.Identity, m.state, nil
}
