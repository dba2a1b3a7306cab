package console_test

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq"
	"github.com/tokenrelay/tokenrelay/internal/browsertest"
	"github.com/tokenrelay/tokenrelay/sandbox"
)

// TestScreenshots makes the pictures of the README, in the folder that the
// variable SCREENSHOTS names, where it is set:
//
//	SCREENSHOTS=docs go test -run TestScreenshots ./dlq/console
//
// Without it they are made all the same, after less traffic, and looked at.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	folder, busy := t.TempDir(), time.Second
	if named := os.Getenv("SCREENSHOTS"); named != "" {
		folder, busy = named, 100*time.Second
		if !filepath.IsAbs(named) {
			folder = filepath.Join("..", "..", named) // of the repository
		}
	}
	w := newWorld(t)
	night(w)
	w.worker("HOLD_MIN=1m")
	browser := browsertest.New(t)
	tab := w.logIn(browser.Tab(t), "Maja")
	w.traffic(busy)

	tab.Open(w.url("/letters?provider=clevertap"))
	order(tab, "Replay…")
	tab.Click("#agree")
	tab.WaitText("#state .pill", "done, with something left")
	contains(t, "the replay in the picture", tab.Text("#rows"), "TRIAL FAILED", "trial passed")
	tab.Dark(true)
	picture(t, tab, filepath.Join(folder, "console-replay.png"), 1280, "main")

	w.traffic(busy / 20)
	if err := w.Fake.AddRules(sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Status, Status: http.StatusUnauthorized,
		Body: `{"status": "fail", "error": "Passcode Invalid", "code": 401}`}); err != nil {
		t.Fatal(err)
	}
	w.traffic(busy / 5)
	tab.Dark(false)
	tab.Open(w.url("/"))
	tab.WaitText("#held-clevertap", "CleverTap is held")
	tab.WaitText("#flow-clevertap .pill", "held")
	picture(t, tab, filepath.Join(folder, "console-overview.png"), 1280, ".groups > li:nth-child(3)")
	tab.Phone()
	picture(t, tab, filepath.Join(folder, "console-phone.png"), 780, "#flow-clevertap")
}

// night puts what died in the last hours, and says what dies from now on.
func night(w *world) {
	w.T.Helper()
	ago := func(first time.Duration, letters []dlq.Letter) []dlq.Letter {
		for i := range letters {
			letters[i].FailedAt = time.Now().Add(-first + time.Duration(i)*time.Minute)
		}
		return letters
	}
	w.Die(ago(6*time.Hour, dead("clevertap", "531", "CleverTap: 531: Token data is incorrect. Invalid token data. Skipped record number : 4", names("fine", 214)...))...)
	w.Die(ago(5*time.Hour, dead("clevertap", "530", noObject, names("broken", 87)...))...)
	w.Die(ago(4*time.Hour, dead("courier", "http_400", "Courier: HTTP 400: invalid_request_error: provider_key firebase is not known", names("key", 38)...))...)
	w.Die(ago(3*time.Hour, dead("courier", "invalid_event", "user_id: missing", names("nobody", 9)...))...)
	if err := w.Fake.AddRules(
		sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Latency, Delay: 80 * time.Millisecond, DelayMax: 160 * time.Millisecond},
		sandbox.Rule{Provider: sandbox.Courier, Effect: sandbox.Latency, Delay: 20 * time.Millisecond, DelayMax: 60 * time.Millisecond},
		sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Refuse, Code: "530", Token: sandbox.Match{Contains: "broken"}},
		sandbox.Rule{Provider: sandbox.CleverTap, Effect: sandbox.Refuse, Code: "530", Token: sandbox.Match{Contains: "login"}, Share: 0.01, Salt: "a"},
		sandbox.Rule{Provider: sandbox.Courier, Effect: sandbox.Refuse, Code: "404", Token: sandbox.Match{Contains: "login"}, Share: 0.006, Salt: "b"},
	); err != nil {
		w.T.Fatal(err)
	}
}

// traffic publishes logins for so long, more and fewer of them in turn.
func (w *world) traffic(d time.Duration) {
	w.T.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	begun := time.Now()
	for n := 0; ; {
		now := <-tick.C
		passed := now.Sub(begun)
		if passed >= d {
			return
		}
		s := passed.Seconds()
		for range int(4 + 2.5*math.Sin(s/7) + 1.5*math.Sin(s/2.3)) {
			w.Put(registration(fmt.Sprint("login", begun.UnixMicro(), "-", n)))
			n++
		}
	}
}

// picture takes the page down to an element's end, and fails the test when the
// picture is blank, of another width, or too large for a README.
func picture(t *testing.T, tab *browsertest.Tab, file string, width int, last string) {
	t.Helper()
	end := tab.Eval(`(document.querySelector("` + last + `").getBoundingClientRect().bottom + scrollY + 4) * devicePixelRatio`).(float64)
	tab.Screenshot(file)
	raw, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := png.Decode(raw)
	raw.Close()
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	equal(t, "the width of "+file, whole.Bounds().Dx(), width)
	cut := image.NewRGBA(image.Rect(0, 0, width, min(int(end), whole.Bounds().Dy())))
	draw.Draw(cut, cut.Bounds(), whole, image.Point{}, draw.Src)
	colours := map[color.Color]bool{}
	for y := range cut.Bounds().Dy() {
		for x := range width {
			colours[cut.At(x, y)] = true
		}
	}
	if len(colours) < 100 {
		t.Errorf("%s has %d colours only: is it blank?", file, len(colours))
	}
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(out, cut); err != nil {
		t.Fatal(err)
	}
	if size, err := out.Stat(); err != nil || size.Size() > 250_000 {
		t.Errorf("%s is too large: %v, %v", file, size.Size(), err)
	}
}
