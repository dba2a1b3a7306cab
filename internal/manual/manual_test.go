package manual_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/tokenrelay/tokenrelay/internal/manual"
)

// relay is a program with everything that needs care in one of the four.
func relay() manual.Command {
	help := manual.Option{Names: []string{"-h", "--help"}, Help: "Show help.", Detail: "Show help."}
	broker := manual.Option{
		Names: []string{"--url"}, Value: "URL,...", Repeats: true, Group: "The broker",
		Help: "The broker's [many] URLs: \\ and \"more\".", Detail: "The broker's [many] URLs: \\ and \"more\" (required; $URL).",
	}
	return manual.Command{
		Name: "relay", Help: "Carries letters. For tests.", Usage: "<command> [flags]", Options: []manual.Option{help},
		Commands: []manual.Command{
			{
				Name: "run", Help: ".run it, isn't it?", Usage: "run [flags]",
				Options: []manual.Option{
					broker,
					{Names: []string{"--ca"}, Value: "PATH", File: true, Group: "The broker", Help: "Trusted.", Detail: "Trusted."},
					{Names: []string{"--tidy", "--no-tidy"}, Help: "Be tidy.", Detail: "Be tidy (default true)."},
					{Names: []string{"--level"}, Value: "info", Choices: []string{"info", "error"}, Help: "Least level. Others go.", Detail: "Least level. Others go (info, error)."},
				},
			},
			{
				Name: "end", Help: "End it.", Usage: "end <who> [flags]",
				Options:   []manual.Option{broker, {Names: []string{"--ca"}, Value: "PATH", File: true, Group: "The broker", Help: "Trusted.", Detail: "Trusted."}},
				Arguments: []manual.Option{{Value: "who", Choices: []string{"ann", "bob"}, Detail: "Who (ann, bob)."}},
			},
			{
				Name: "read", Help: "Read a file.", Usage: "read <file>",
				Arguments: []manual.Option{{Value: "file", File: true, Detail: "The…input."}},
			},
		},
	}
}

// lone is a program without commands.
func lone() manual.Command {
	return manual.Command{
		Name: "lone", Help: "Is alone.", Usage: "[flags]",
		Options: []manual.Option{{Names: []string{"--rate"}, Value: "N", Help: "Events a second.", Detail: "Events a second (from 1)."}},
	}
}

// What shells make of these, a test of the module deploy looks at.
func TestAsWritten(t *testing.T) {
	t.Parallel()
	for kind, write := range map[string]func(io.Writer, manual.Command) error{
		"1": func(w io.Writer, c manual.Command) error { return manual.Page(w, c, "v1.2.3") }, "bash": manual.Bash, "zsh": manual.Zsh, "fish": manual.Fish,
	} {
		for _, program := range []manual.Command{relay(), lone()} {
			t.Run(program.Name+"."+kind, func(t *testing.T) {
				t.Parallel()
				var got bytes.Buffer
				if err := write(&got, program); err != nil {
					t.Fatal(err)
				}
				want, err := os.ReadFile("testdata/" + program.Name + "." + kind)
				if err != nil {
					t.Fatal(err)
				}
				if got.String() != string(want) {
					t.Errorf("testdata has\n%s\nnow it is\n%s", want, got.String())
				}
			})
		}
	}
}

func TestAFullDiskIsToldOf(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	if err := manual.Fish(writer(func([]byte) (int, error) { return 0, full }), lone()); !errors.Is(err, full) {
		t.Errorf("%v, want %v", err, full)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
