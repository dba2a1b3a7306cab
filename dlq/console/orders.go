package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/dlq/erase"
)

// jobPageView is what job.html shows.
type jobPageView struct {
	frame
	Alerts []alert
	Job    jobView
}

// job is the job of an address; without one the request is answered.
func (c *Console) job(w http.ResponseWriter, r *http.Request, s *session) *job {
	j := c.jobs.find(r.PathValue("id"))
	if j == nil {
		c.problem(w, s, http.StatusNotFound, "This job is not known any more. The console keeps the last "+fmt.Sprint(mostEnded)+", until it is started anew.")
	}
	return j
}

func (c *Console) jobPage(w http.ResponseWriter, r *http.Request, s *session) {
	j := c.job(w, r, s)
	if j == nil {
		return
	}
	v := c.jobPageView(j, c.frame(s, capital(j.kind), "jobs"))
	if !v.Job.State.ended() {
		v.Live = "/live?page=job&id=" + j.id
		if v.Job.State != asking {
			v.Refresh, v.Self = 3, "/jobs/"+j.id+"?"+byItself
		}
	}
	c.show(w, http.StatusOK, "job", v)
}

func (c *Console) jobPageView(j *job, f frame) jobPageView {
	v := jobPageView{frame: f, Job: j.view()}
	if !v.Job.State.ended() { // one that has ended is not told of the broker's return
		v.Alerts = awayAlerts(c.flow.Now())
	}
	return v
}

// newJob begins to look what a replay, a purge or an export would do.
func (c *Console) newJob(w http.ResponseWriter, r *http.Request, s *session) {
	if c.away(w, s) {
		return
	}
	of := readChoice(r.PostForm)
	filter, problems := of.filter(s, time.Now())
	kind := r.PostFormValue("kind")
	letters := chosen{letters: c.Letters, filter: filter}
	var t task
	var orders []string
	switch kind {
	case "replay":
		options, wrong := readReplay(r.PostForm, filter)
		problems = append(problems, wrong...)
		orders = ordersOf(options, r.PostFormValue("field"))
		t = &replayTask{js: c.JS, letters: c.Letters, options: options, held: c.holds}
	case "purge":
		t = &purgeTask{letters}
	case "export":
		t = &exportTask{chosen: letters}
	default:
		problems = append(problems, "what to do must be replay, purge or export")
	}
	if len(problems) > 0 {
		c.problem(w, s, http.StatusUnprocessableEntity, problems...)
		return
	}
	j := &job{kind: kind, what: of.Says(), operator: s.operator, address: of.Address(), orders: orders, task: t}
	c.begin(w, r, s, j, append(of.logged(), "orders", strings.Join(orders, "; ")))
}

func (c *Console) begin(w http.ResponseWriter, r *http.Request, s *session, j *job, logged []any) {
	if err := c.jobs.begin(j); err != nil {
		c.problem(w, s, http.StatusTooManyRequests, capital(err.Error())+".")
		return
	}
	article := "a "
	if strings.HasPrefix(j.kind, "e") { // export, erase
		article = "an "
	}
	c.Log.Info("console: looks what "+article+j.kind+" would do", append([]any{"operator", s.operator, "job", j.id}, logged...)...)
	http.Redirect(w, r, "/jobs/"+j.id, http.StatusSeeOther)
}

func (c *Console) erasePage(w http.ResponseWriter, _ *http.Request, s *session) {
	c.show(w, http.StatusOK, "erase", struct{ frame }{c.frame(s, "Erase a person", "erase")})
}

// newErase begins to look what is stored of a person.
func (c *Console) newErase(w http.ResponseWriter, r *http.Request, s *session) {
	who := erase.Person{User: identity(r, "user"), Object: identity(r, "object")}
	if who == (erase.Person{}) {
		c.problem(w, s, http.StatusUnprocessableEntity, "Give a user_id or an object_id: it is not shown or logged.")
		return
	}
	if c.away(w, s) {
		return
	}
	eraser, err := erase.New(r.Context(), c.JS, c.Letters, who)
	if err != nil {
		c.problem(w, s, http.StatusBadGateway, errorLine(err))
		return
	}
	c.begin(w, r, s, &job{kind: "erase", what: "all that is stored of one person", operator: s.operator, task: &eraseTask{eraser}}, nil)
}

// ordered is the job of a request that the operator may go on with. What must
// be ticked is, and the broker can be asked, or the request is answered.
func (c *Console) ordered(w http.ResponseWriter, r *http.Request, s *session) *job {
	j := c.job(w, r, s)
	if j == nil {
		return nil
	}
	v := j.view()
	if v.State == asking && c.away(w, s) {
		return nil
	}
	if v.State == asking && v.Preview.Final != "" && r.PostFormValue("final") == "" {
		c.problem(w, s, http.StatusUnprocessableEntity, "Tick “"+v.Preview.Final+"” first. Nothing was changed.")
		return nil
	}
	return j
}

// goJob lets a job begin that was looked at. The second click, in whatever
// tab, finds it under way.
func (c *Console) goJob(w http.ResponseWriter, r *http.Request, s *session) {
	j := c.ordered(w, r, s)
	if j == nil {
		return
	}
	if j.kind == "export" { // begins with its download
		http.Redirect(w, r, "/jobs/"+j.id, http.StatusSeeOther)
		return
	}
	if t := j.agree(s.operator); t != nil {
		c.jobs.work.Go(func() { _ = c.conduct(j, t, s.operator) }) // the job has the error
	}
	http.Redirect(w, r, "/jobs/"+j.id, http.StatusSeeOther)
}

// conduct runs a job and logs its beginning and its end with the operator's
// name.
func (c *Console) conduct(j *job, t task, operator string) error {
	c.Log.Info("console: "+j.kind+" begins", "operator", operator, "job", j.id, "total", j.view().Preview.Total)
	did, err := j.run(t)
	c.tally.again() // letters came or went
	args := []any{"operator", operator, "job", j.id, "did", did.Summary}
	if err != nil {
		c.Log.Warn("console: "+j.kind+" ended early", append(args, "err", err)...)
		return err
	}
	c.Log.Info("console: "+j.kind+" ended", args...)
	return nil
}

func (c *Console) stopJob(w http.ResponseWriter, r *http.Request, s *session) {
	j := c.job(w, r, s)
	if j == nil {
		return
	}
	if !j.view().State.ended() {
		c.Log.Info("console: "+j.kind+" is stopped", "operator", s.operator, "job", j.id)
		j.stop()
	}
	http.Redirect(w, r, "/jobs/"+j.id, http.StatusSeeOther)
}

// fileOfJob writes an export into the answer. Its progress is on the job's
// page.
func (c *Console) fileOfJob(w http.ResponseWriter, r *http.Request, s *session) {
	j := c.ordered(w, r, s)
	if j == nil {
		return
	}
	var t *exportTask
	if j.kind == "export" {
		t, _ = j.agree(s.operator).(*exportTask)
	}
	if t == nil {
		http.Redirect(w, r, "/jobs/"+j.id, http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="letters-`+time.Now().UTC().Format("20060102-150405")+`.jsonl"`)
	control := http.NewResponseController(w)
	// Who stops it does not wait for a reader that has stalled.
	t.out, t.cutOff = patient{w, control}, func() { _ = control.SetWriteDeadline(time.Now()) }
	var err error
	written := make(chan struct{})
	c.jobs.work.Go(func() { // whose end is waited for like any job's
		defer close(written)
		err = c.conduct(j, t, s.operator)
	})
	if <-written; errors.Is(err, errNothing) { // the job's page says why
		w.Header().Del("Content-Type")
		w.Header().Del("Content-Disposition")
		http.Redirect(w, r, "/jobs/"+j.id, http.StatusSeeOther)
		return
	}
	if err != nil {
		panic(http.ErrAbortHandler) // or half a file would look whole
	}
}

// patience is how long one piece of an answer may take to be sent.
const patience = 30 * time.Second

// patient writes for as long as somebody reads: the server's own limit is for
// a page.
type patient struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	n, err := p.w.Write(b)
	if err == nil {
		err = p.control.Flush()
	}
	return n, err
}
