package clickhouse

import "io/fs"

// Statements returns all that Migrate carries out, but for the database and the table migrations.
func Statements(config Config) ([]string, error) {
	s := schema{config.withDefaults()}
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range append(names, "derived/refresh.sql") {
		statements, err := s.render(name)
		if err != nil {
			return nil, err
		}
		all = append(all, statements...)
	}
	return append(all, s.retention()...), nil
}
