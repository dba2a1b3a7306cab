package rules_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/config"
)

// rows are the cells of the table in the text that begins with this header
// row, less code marks.
func rows(t *testing.T, text, header string) [][]string {
	t.Helper()
	_, table, found := strings.Cut(text, "\n"+header+"\n")
	if !found {
		t.Fatalf("no table with the header %q", header)
	}
	var list [][]string
	for i, line := range strings.Split(table, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if i > 0 { // below the line of dashes
			var cells []string
			for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
				cells = append(cells, strings.TrimSpace(strings.ReplaceAll(cell, "`", "")))
			}
			list = append(list, cells)
		}
	}
	return list
}

func TestReadmeHasEveryVariable(t *testing.T) {
	t.Parallel()
	var worker struct {
		config.Worker `embed:""`
	}
	var console struct {
		config.Console `embed:""`
	}
	for header, settings := range map[string]any{"| variable | default | |": &worker, "| variable of the console | default | |": &console} {
		var told, want []string
		for _, row := range rows(t, read(t, "README.md"), header) {
			told = append(told, row[0]+" = "+row[1])
			if row[2] == "" {
				t.Errorf("README.md does not say what %s is for", row[0])
			}
		}
		for _, v := range config.Variables(settings) {
			value := v.Default
			if v.Required {
				value = "required"
			}
			want = append(want, v.Name+" = "+value)
		}
		compare(t, "README.md, configuration", told, want)
	}
}

// compare tells what two lists do not share. The order is the document's.
func compare(t *testing.T, where string, told, want []string) {
	t.Helper()
	if len(want) == 0 {
		t.Fatalf("%s: nothing to compare with", where)
	}
	for _, line := range want {
		if !slices.Contains(told, line) {
			t.Errorf("%s lacks %s", where, line)
		}
	}
	for _, line := range told {
		if !slices.Contains(want, line) {
			t.Errorf("%s has %s, and the code has not", where, line)
		}
	}
}

func TestEveryDirectDependencyHasItsReason(t *testing.T) {
	t.Parallel()
	files(t)
	all := list(t)
	direct := map[string]bool{}
	for _, p := range all {
		if !p.ours() {
			continue
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if q := all[path]; q != nil && q.Module != nil && !q.ours() {
				direct[q.Module.Path] = true
			}
		}
	}
	want := slices.Sorted(maps.Keys(direct))
	var told []string
	for _, row := range rows(t, read(t, "docs/dependencies.md"), "| module | for | why this one |") {
		told = append(told, row[0])
		if len(row) != 3 || row[1] == "" || row[2] == "" {
			t.Errorf("docs/dependencies.md does not say what %s is for, and why this one", row[0])
		}
	}
	compare(t, "docs/dependencies.md", told, want)
}

// What is deployed has tests in modules of its own, which list does not see.
func TestEveryDirectDependencyOfDeployHasItsReason(t *testing.T) {
	t.Parallel()
	required := regexp.MustCompile(`(?m)^(?:require)?\s+(\S+) v\S+$`) // without "// indirect"
	direct := map[string]bool{}
	for name, text := range files(t) {
		if strings.HasPrefix(name, "deploy/") && path.Ext(name) == ".mod" {
			for _, match := range required.FindAllStringSubmatch(text, -1) {
				if !strings.HasPrefix(match[1], module) {
					direct[match[1]] = true
				}
			}
		}
	}
	var told []string
	for _, row := range rows(t, read(t, "docs/dependencies.md"), "| module of deploy | for | why this one |") {
		told = append(told, strings.Split(row[0], ", ")...)
		if len(row) != 3 || row[1] == "" || row[2] == "" {
			t.Errorf("docs/dependencies.md does not say what %s is for, and why this one", row[0])
		}
	}
	compare(t, "docs/dependencies.md", told, slices.Sorted(maps.Keys(direct)))
}

func TestLinksOfTheDocumentsLead(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence := regexp.MustCompile("(?s)```.*?```")
	for name, text := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target, _, _ := strings.Cut(match[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, path.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, match[1])
			}
		}
	}
}

func documents(t *testing.T) map[string]string {
	t.Helper()
	documents := files(t)
	maps.DeleteFunc(documents, func(name, _ string) bool { return path.Ext(name) != ".md" })
	if len(documents) < 5 {
		t.Fatalf("only %d documents", len(documents))
	}
	return documents
}

func TestMakeHasTheTargetsThatTheDocumentsName(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	named := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)")
	for name, text := range documents(t) {
		for _, match := range named.FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(fmt.Sprintf(`(?m)^%s:.*## `, match[1])).MatchString(makefile) {
				t.Errorf("%s names `make %s`, which the Makefile does not have, or does not explain", name, match[1])
			}
		}
	}
}

// Architecture without the rooms it speaks of would mislead.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/architecture.md")
	for _, p := range listOurs(t) {
		name := short(p.ImportPath)
		if rules[name].why == "tests only" || isTestSupport(name) {
			continue
		}
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/architecture.md does not name `%s`", name)
		}
	}
}

// Who is paged searches the logs for what the runbook quotes.
func TestTheRunbookQuotesRealLogLines(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	_, texts := goFiles(t)
	for name, text := range texts {
		if !strings.HasSuffix(name, "_test.go") {
			code.WriteString(text)
		}
	}
	quotes := regexp.MustCompile("(?:log lines?|warnings?) `([^`]+)`").FindAllStringSubmatch(read(t, "docs/operations.md"), -1)
	if len(quotes) < 4 {
		t.Errorf("only %d quotes were found", len(quotes))
	}
	for _, quote := range quotes {
		if !regexp.MustCompile(`\.(Debug|Info|Warn|Error)\("` + regexp.QuoteMeta(quote[1])).MatchString(code.String()) {
			t.Errorf("the runbook quotes %q, which nobody logs", quote[1])
		}
	}
}
