// Program publish puts the reports of dist/bench, as they are, into docs/performance.md, and their pictures beside it:
//
//	go run ./bench/publish
//
// A report goes between the two comments that name it; a report that wasn't made leaves what is there.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// reports are the folders of reports below dist/bench, by the names in the comments.
func reports() map[string]string {
	return map[string]string{"compare": ".", "peers": "peers", "long": "long", "sweeps": "sweeps", "steady": "steady", "full": "full"}
}

func main() {
	from := flag.String("from", filepath.Join("dist", "bench"), "`folder` of the reports")
	into := flag.String("into", filepath.Join("docs", "performance.md"), "`file` that they go into; pictures go into the folder of the same name")
	flag.Parse()
	if err := publish(*from, *into, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

// publish puts all reports that there are into a file.
func publish(from, into string, out io.Writer) error {
	content, err := os.ReadFile(into)
	if err != nil {
		return fmt.Errorf("the file to publish into: %w", err)
	}
	text := string(content)
	pictures := strings.TrimSuffix(into, filepath.Ext(into))
	for name, folder := range reports() {
		report, err := os.ReadFile(filepath.Join(from, folder, "report.md"))
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(out, "%s: not measured, left as it is\n", name)
			continue
		}
		if err != nil {
			return fmt.Errorf("report %s: %w", name, err)
		}
		body, err := copyPictures(string(report), filepath.Join(from, folder), pictures, name)
		if err != nil {
			return fmt.Errorf("report %s: %w", name, err)
		}
		if text, err = replace(text, name, body); err != nil {
			return fmt.Errorf("%s: %w", into, err)
		}
		fmt.Fprintf(out, "%s: published\n", name)
	}
	return os.WriteFile(into, []byte(text), 0o600) //nolint:gosec // the command line says which file
}

// replace puts a report between its two comments.
func replace(text, name, body string) (string, error) {
	begin, end := "<!-- results of "+name+" -->", "<!-- end of "+name+" -->"
	before, rest, found := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("there is no %q and then %q, where its results are to be", begin, end)
	}
	return before + begin + "\n\n" + strings.TrimSpace(body) + "\n\n" + end + after, nil
}

// picture is a picture in Markdown.
var picture = regexp.MustCompile(`\]\(([a-z0-9-]+\.svg)\)`)

// copyPictures copies a report's pictures into a folder, with its name in front of theirs, and returns the report that shows those.
func copyPictures(report, from, to, name string) (string, error) {
	if err := os.MkdirAll(to, 0o750); err != nil {
		return "", err
	}
	var errs []error
	report = picture.ReplaceAllStringFunc(report, func(link string) string {
		file := picture.FindStringSubmatch(link)[1]
		content, err := os.ReadFile(filepath.Join(from, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name+"-"+file), content, 0o600) //nolint:gosec // the name is a plain one, by the pattern
		}
		errs = append(errs, err)
		return "](" + filepath.Base(to) + "/" + name + "-" + file + ")"
	})
	return report, errors.Join(errs...)
}
