package main

import (
	"testing"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/event"
)

// What is wrong with an edited file is told in one line.
func TestReadEditedRefuses(t *testing.T) {
	t.Parallel()
	letters := []*dlq.Stored{{Seq: 7, Provider: event.Courier}}
	whole := "# letter 7: courier\n" + only(event.Courier, "ann") + "\n"
	for text, want := range map[string]string{
		whole:                           "",
		"":                              "no letter is left in the file",
		whole + "# letter 8: courier\n": `the line "# letter 8: courier" names a letter that was not in the file`,
		whole + "# letter x\n":          `the line "# letter x" names a letter that was not in the file`,
		whole + whole:                   `the line "# letter 7: courier" names a letter that stands there twice; once is allowed`,
		"# letter 7\n{\n":               "letter 7: event: JSON that ends too early; one whole object is required",
	} {
		got := ""
		if _, err := readEdited([]byte(text), letters); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
