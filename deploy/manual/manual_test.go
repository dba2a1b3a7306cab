package manual_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var commands = []string{"worker", "publisher", "dlq", "sandbox", "demo"}

// generated is the folder of bin/ and of what its commands generated: worker.1,
// worker.bash and so on.
var generated string

func TestMain(m *testing.M) {
	code, err := prepare(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepare(m *testing.M) (code int, err error) {
	if err := install(map[string]string{"bash": "bash", "zsh": "zsh", "fish": "fish", "mandoc": "mandoc", "man": "man-db", "groff": "groff"}); err != nil {
		return 0, err
	}
	if generated, err = os.MkdirTemp("", "tokenrelay-manual-"); err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(generated) }()
	build := exec.Command("go", "build", "-C", "../..", "-o", filepath.Join(generated, "bin")+"/", "./cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("go build: %w: %s", err, output)
	}
	for _, command := range commands {
		for kind, file := range map[string]string{"man": "1", "bash": "bash", "zsh": "zsh", "fish": "fish"} {
			text, err := exec.Command(filepath.Join(generated, "bin", command), "--generate="+kind).Output()
			if err != nil {
				return 0, fmt.Errorf("%s --generate=%s: %w", command, kind, err)
			}
			if err := os.WriteFile(filepath.Join(generated, command+"."+file), text, 0o600); err != nil {
				return 0, err
			}
		}
	}
	return m.Run(), nil
}

// install brings the programs that are not there, by their packages' names.
func install(packages map[string]string) error {
	var missing []string
	for program, pack := range packages {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pack)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	list := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return fmt.Errorf("missing, and not installed without root and apt-get: %s", list)
	}
	for _, args := range [][]string{{"update"}, append([]string{"-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends"}, missing...)} {
		apt := exec.Command("apt-get", args...)
		apt.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := apt.CombinedOutput(); err != nil {
			return fmt.Errorf("missing: %s; apt-get %s: %w: %s", list, args[0], err, output)
		}
	}
	return nil
}

// files lists what the commands generated of a kind, and what a program with a
// hostile help has.
func files(t *testing.T, kind string) []string {
	t.Helper()
	var list []string
	for _, pattern := range []string{filepath.Join(generated, "*."+kind), "../../internal/manual/testdata/*." + kind} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("nothing like %s: %v", pattern, err)
		}
		list = append(list, found...)
	}
	if want := len(commands) + 2; len(list) != want {
		t.Fatalf("%d files, want %d: %q", len(list), want, list)
	}
	return list
}

func TestShellsReadTheCompletions(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		for _, file := range files(t, shell) {
			t.Run(filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				silent(t, shell, "-n", file)
			})
		}
	}
}

func TestPagesAreWellFormed(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "1") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			silent(t, "man", "--warnings", "-E", "UTF-8", "-l", file)
			// A date would differ from build to build, and the version says more.
			silent(t, "sh", "-c", `mandoc -T lint -W warning "$0" | grep -v 'missing date, using ""'; true`, file)
		})
	}
}

// silent runs a program that has nothing to complain of: it exits with 0 and
// writes nothing to standard error, nor, but for man, to standard output.
func silent(t *testing.T, name string, args ...string) {
	t.Helper()
	var stdout, stderr strings.Builder
	program := exec.Command(name, args...)
	program.Env = append(os.Environ(), "MANPAGER=cat", "LC_ALL=C.UTF-8")
	program.Stdout, program.Stderr = &stdout, &stderr
	err := program.Run()
	if name == "man" && stdout.Len() == 0 {
		t.Error("an empty page")
	} else if name == "man" {
		stdout.Reset()
	}
	if err != nil || stdout.Len()+stderr.Len() > 0 {
		t.Errorf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
}

func TestPageSays(t *testing.T) {
	t.Parallel()
	page := run(t, "man", "-E", "UTF-8", "-l", filepath.Join(generated, "worker.1"))
	for _, text := range []string{
		"WORKER(1)", "worker - brings token registrations from NATS JetStream to CleverTap and Courier",
		"worker resume --nats-url=URL,... <provider> [flags]", "--shutdown-grace=25s", "$SHUTDOWN_GRACE",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("no %q in\n%s", text, page)
		}
	}
}

// A cursor is where a person presses the tab key: at the end of the line.
var cursors = map[string]struct {
	line string
	want []string
}{
	"a command":                   {"worker r", []string{"resume", "run"}},
	"one command":                 {"worker che", []string{"check"}},
	"an argument":                 {"worker resume c", []string{"clevertap", "courier"}},
	"a flag":                      {"worker run --nats-tls-", []string{"--nats-tls-ca", "--nats-tls-cert", "--nats-tls-key"}},
	"both forms of a switch":      {"worker run --no", []string{"--no-courier-body-token", "--no-nats-provision"}},
	"a choice":                    {"worker run --log-level w", []string{"warn"}},
	"a choice behind =":           {"worker run --log-level=w", []string{"warn"}},
	"another command's flag":      {"worker resume --clevertap-", nil},
	"behind a flag with a value":  {"worker run --nats-url nats://a:4222 --hold-", []string{"--hold-max", "--hold-min"}},
	"a program without commands":  {"sandbox --courier-r", []string{"--courier-refuse"}},
	"a file":                      {"publisher import ./bin/pub", []string{"./bin/publisher"}},
	"a flag's file":               {"dlq list --nats-creds ./bin/wor", []string{"./bin/worker"}},
	"a choice of a filter":        {"dlq replay --provider cl", []string{"clevertap"}},
	"what has no completion":      {"worker run --nats-user ", nil},
	"what a person may generate":  {"demo --generate ", []string{"bash", "fish", "man", "zsh"}},
	"a flag of the whole program": {"worker --ver", []string{"--version"}},
}

func TestBashCompletes(t *testing.T) {
	t.Parallel()
	// Bash calls the function with the words; what it would do with paths itself
	// is asked by compopt, for which a stand-in notes the wish.
	const script = `
		source "$1.bash"
		line=$2 COMP_WORDS=() COMPREPLY=()
		compopt() { files=1; }
		read -ra COMP_WORDS <<<"${line//=/ = }"
		[[ $line != *' ' ]] || COMP_WORDS+=('')
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		"_$1"
		[[ ! $files ]] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
		printf '%s\n' "${COMPREPLY[@]}"`
	for name, at := range cursors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, _, _ := strings.Cut(at.line, " ")
			offered(t, run(t, "bash", "--norc", "-c", script, "bash", program, at.line), at.want)
		})
	}
}

func TestFishCompletes(t *testing.T) {
	t.Parallel()
	const script = `
		set -gx PATH ./bin $PATH
		source $argv[1].fish
		complete -C $argv[2] | string split -f1 \t
		true # it is false for what is not split`
	for name, at := range cursors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, _, _ := strings.Cut(at.line, " ")
			text := run(t, "fish", "--no-config", "-c", script, program, at.line)
			offered(t, strings.ReplaceAll(text, "--log-level=", ""), at.want)
		})
	}
}

// Zsh completes only for a person at a terminal, so it gets one.
func TestZshCompletes(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]struct{ typed, want string }{
		"a command":         {"worker che\t", "worker check "},
		"an argument":       {"worker resume cl\t", "worker resume clevertap "},
		"a flag":            {"worker run --permit\t", "worker run --permit-lease="},
		"a choice":          {"worker run --log-level w\t", "worker run --log-level warn "},
		"a choice behind =": {"worker run --log-level=w\t", "worker run --log-level=warn "},
		"a lone program":    {"sandbox --courier-r\t", "sandbox --courier-refuse="},
		"a file":            {"publisher import ./bin/pub\t", "publisher import ./bin/publisher "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, _, _ := strings.Cut(at.typed, " ")
			// The inner shell tells, at a key, what its line has become.
			const script = `
				zmodload zsh/zpty
				zpty inner zsh -f -i
				zpty -w inner "PS1= PS2= TERM=dumb; bindkey '^I' complete-word; autoload -Uz compinit; compinit -D -u"
				zpty -w inner "tell() { print -r -- \"LINE<\$BUFFER>\" }; zle -N tell; bindkey '^O' tell"
				zpty -w inner "source $1.zsh; print REA''DY"
				zpty -r inner seen '*READY*'
				zpty -w -n inner "$2"$'\C-o'
				zpty -r inner seen '*LINE<*>*'
				print -r -- ${${seen#*LINE<}%%>*}
				zpty -d inner`
			if got := run(t, "zsh", "-f", "-c", script, "zsh", program, at.typed); strings.TrimRight(got, "\r\n") != at.want {
				t.Errorf("%q, want %q", got, at.want)
			}
		})
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stdout, stderr strings.Builder
	program := exec.CommandContext(t.Context(), name, args...)
	program.Dir, program.Stdout, program.Stderr = generated, &stdout, &stderr
	program.Env = append(os.Environ(), "HOME="+t.TempDir(), "LC_ALL=C.UTF-8", "MANPAGER=cat", "MANWIDTH=200")
	if err := program.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v: %s", name, err, stderr.String())
	}
	return stdout.String()
}

func offered(t *testing.T, text string, want []string) {
	t.Helper()
	got := strings.Fields(text)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
