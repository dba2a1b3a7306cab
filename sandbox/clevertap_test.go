package sandbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

func TestCleverTapAccepts(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	r := w.upload(token("o1", "t1"), token("o2", "t2"), token("o1", "t1"))
	want(t, "status", r.status, 200)
	want(t, "content type", r.header.Get("Content-Type"), "application/json;charset=utf-8")
	sameJSON(t, "answer", r.body, `{"status":"success","processed":3,"unprocessed":[]}`)
	if !strings.HasPrefix(r.body, `{ "status" : `) {
		t.Errorf("the answer lacks the odd spacing: %s", r.body)
	}

	report := w.Report().CleverTap
	want(t, "accepted", report.Accepted, 3)
	want(t, "repeated", report.Repeated, 1)
	want(t, "calls", report.Calls, 1)
	want(t, "200s", report.Statuses["200"], 1)
	want(t, "calls of three", report.CallSizes[3], 1)
	want(t, "peak", report.PeakOpen, 1)
	want(t, "open", report.Open, 0)
	accepted := w.Accepted(sandbox.CleverTap)
	want(t, "remembered", len(accepted), 3)
	want(t, "identity", accepted[1].Identity, "o2")
	want(t, "token", accepted[1].Token, "t2")
	want(t, "repeated", accepted[2].Repeated, true)
	sameJSON(t, "body", string(accepted[1].Body), token("o2", "t2"))
}

// The example for several systems, as in "Upload Device Tokens API".
func TestCleverTapTakesTheDocumentsExample(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	r := w.upload(
		`{"type":"token","tokenData":{"id":"frfsgvrwe:APfdsafsgdfsgghfgfgjkhfsfgdhjhbvcvnetry767456fxsasdf","type":"chrome","keys":{
			"p256dh":"BLc4xRzKlKORKWlbdgFaBrrPK3ydWAHo4M0gs0i1oEKgPpWC5cW8OCzVrOQRv-1npXRWk8udnW3oYhIO4475rds=","auth":"5I2Bu2oKdyy9CwL8QVF0NQ=="}},
		  "objectId":"QBOpVJZmKilRAzfaiVS86Tovxm75lHxg"}`,
		`{"type":"token","tokenData":{"id":"dYfuuBmHLGI:APA91bEfAq1b6NAmz0uhUbVxwSLqgKF25zDb7vhgajzS-bOAEUKekH_jbzO5oU1Qip-ZLvDpwKccxAxVNjC3rUUJnFTKDUiBcF9AtuG03_PRfjoUxLKHMR9qykK22SiubrLirNzQtNnO","type":"fcm"},"objectId":"__gc4grg4053N1eYkW6OBH71jhFev7b1iP"}`,
		`{"type":"token","tokenData":{"id":"frfsgvrwe:APfdsafsgdfsgghfgfgjkhfsfgdhjhbvcvnetry767456fxsasdf","type":"gcm"},"objectId":"__QlXHaDHBZxZPLEMpPo6VvwdZ7FnbGvWA"}`,
		`{"type":"token","tokenData":{"id":"frfsgvrwe:APfdsafsgdfsgghfgfgjkhfsfgdhjhbvcvnetry767456fxsasdf","type":"apns"},"objectId":"-HwB9gZWb3RcKhXCQ222FhAhkjeYQs0Hj"}`,
		`{"type":"token","tokenData":{"id":"frfsgvrwe:APfdsafsgdfsgghfgfgjkhfsfgdhjhbvcvnetry767456fxsasdf","type":"wns"},"objectId":"~9XrS4Dy6GsnDbdX98Ijs63kEtJDQbhJA"}`,
		`{"type":"token","tokenData":{"id":"frfsgvrwe:APfdsafsgdfsgghfgfgjkhfsfgdhjhbvcvnetry767456fxsasdf","type":"mpns"},"objectId":"~y9MqjkDGRfbzwwH8fZI6LIXgTKaEPxHr"}`,
	)
	sameJSON(t, "answer", r.body, `{"status":"success","processed":6,"unprocessed":[]}`)
}

func TestCleverTapRecordCodes(t *testing.T) {
	t.Parallel()
	const p256dh = `"BLc4xRzKlKORKWlbdgFaBrrPK3ydWAHo4M0gs0i1oEKgPpWC5cW8OCzVrOQRv-1npXRWk8udnW3oYhIO4475rds="`
	for name, c := range map[string]struct{ record, code string }{
		"fcm":                     {`{"type":"token","tokenData":{"id":"t","type":"fcm"},"objectId":"__g1"}`, ""},
		"apns":                    {`{"type":"token","tokenData":{"id":"t","type":"apns"},"objectId":"-H1"}`, ""},
		"wns":                     {`{"type":"token","tokenData":{"id":"t","type":"wns"},"objectId":"~1"}`, ""},
		"mpns":                    {`{"type":"token","tokenData":{"id":"t","type":"mpns"},"objectId":"~1"}`, ""},
		"gcm without a prefix":    {`{"type":"token","tokenData":{"id":"t","type":"gcm"},"objectId":"37b0"}`, ""},
		"chrome":                  {`{"type":"token","tokenData":{"id":"t","type":"chrome","keys":{"p256dh":` + p256dh + `,"auth":"5I2Bu2oKdyy9CwL8QVF0NQ=="}},"objectId":"Q"}`, ""},
		"chrome, unpadded":        {`{"type":"token","tokenData":{"id":"t","type":"chrome","keys":{"p256dh":` + strings.Replace(p256dh, "=", "", 1) + `,"auth":"5I2Bu2oKdyy9CwL8QVF0NQ"}},"objectId":"Q"}`, ""},
		"unknown members":         {`{"type":"token","more":1,"tokenData":{"id":"t","type":"fcm","more":{}},"objectId":"o"}`, ""},
		"no object":               {`7`, "524"},
		"null":                    {`null`, "524"},
		"another type":            {`{"type":"profile","profileData":{},"objectId":"o"}`, "524"},
		"no record type":          {`{"tokenData":{"id":"t","type":"fcm"},"objectId":"o"}`, "524"},
		"no objectId":             {`{"type":"token","tokenData":{"id":"t","type":"fcm"}}`, "530"},
		"empty objectId":          {`{"type":"token","tokenData":{"id":"t","type":"fcm"},"objectId":""}`, "530"},
		"objectId a number":       {`{"type":"token","tokenData":{"id":"t","type":"fcm"},"objectId":34322425}`, "530"},
		"objectId too long":       {`{"type":"token","tokenData":{"id":"t","type":"fcm"},"objectId":"` + strings.Repeat("o", 513) + `"}`, "530"},
		"no tokenData":            {`{"type":"token","objectId":"o"}`, "531"},
		"tokenData a string":      {`{"type":"token","tokenData":"t","objectId":"o"}`, "531"},
		"id a number":             {`{"type":"token","tokenData":{"id":7,"type":"fcm"},"objectId":"o"}`, "531"},
		"type a number":           {`{"type":"token","tokenData":{"id":"t","type":7},"objectId":"o"}`, "531"},
		"white space":             {`{"type":"token","tokenData":{"id":"t t","type":"fcm"},"objectId":"o"}`, "531"},
		"control character":       {`{"type":"token","tokenData":{"id":"t\u0001","type":"fcm"},"objectId":"o"}`, "531"},
		"id too long":             {`{"type":"token","tokenData":{"id":"` + strings.Repeat("t", 4097) + `","type":"fcm"},"objectId":"o"}`, "531"},
		"no id":                   {`{"type":"token","tokenData":{"type":"fcm"},"objectId":"o"}`, "532"},
		"empty id":                {`{"type":"token","tokenData":{"id":"","type":"fcm"},"objectId":"o"}`, "532"},
		"no token type":           {`{"type":"token","tokenData":{"id":"t"},"objectId":"o"}`, "533"},
		"empty token type":        {`{"type":"token","tokenData":{"id":"t","type":""},"objectId":"o"}`, "533"},
		"unknown token type":      {`{"type":"token","tokenData":{"id":"t","type":"FCM"},"objectId":"o"}`, "534"},
		"apns for Android":        {`{"type":"token","tokenData":{"id":"t","type":"apns"},"objectId":"__g1"}`, "534"},
		"fcm for iOS":             {`{"type":"token","tokenData":{"id":"t","type":"fcm"},"objectId":"-H1"}`, "534"},
		"chrome without keys":     {`{"type":"token","tokenData":{"id":"t","type":"chrome"},"objectId":"o"}`, "535"},
		"chrome with a short key": {`{"type":"token","tokenData":{"id":"t","type":"chrome","keys":{"p256dh":` + p256dh + `,"auth":"AAAA"}},"objectId":"o"}`, "535"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, sandbox.Settings{})
			r := w.upload(c.record)
			want(t, "status", r.status, 200)
			report := w.Report().CleverTap
			if c.code == "" {
				sameJSON(t, "answer", r.body, `{"status":"success","processed":1,"unprocessed":[]}`)
				want(t, "accepted", report.Accepted, 1)
				return
			}
			want(t, "refused "+c.code, report.Refused[c.code], 1)
			want(t, "accepted", report.Accepted, 0)
			for _, part := range []string{`"status" : "fail" , "processed" : 0`, `"code" : ` + c.code, "Skipped record number : 1"} {
				if !strings.Contains(r.body, part) {
					t.Errorf("the answer lacks %s: %s", part, r.body)
				}
			}
		})
	}
}

func TestCleverTapPartialEchoesWithItsQuirks(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	records := tokens(100)
	records[1] = `{"type":"token","tokenData":{"id":"123456","type":"apns","more":5},"objectId":"__g2"}`
	records[99] = `{"type":"token","tokenData":{"type":"fcm"},"objectId":"o100"}`
	r := w.upload(records...)
	want(t, "status", r.status, 200)
	sameJSON(t, "answer", r.body, `{"status":"partial","processed":98,"unprocessed":[
		{"status":"fail","code":534,"error":"Token data is incorrect. Token type not valid for objectId. Skipped record number : 2",
		 "record":{"type":"token","tokenData":{"id":123456,"type":"apns","more":"5"},"objectId":"__g2"}},
		{"status":"fail","code":532,"error":"Token data is incorrect. Token id not present. Skipped record number : 100",
		 "record":{"type":"token","tokenData":{"type":"fcm"},"objectId":"o100"}}]}`)
	report := w.Report().CleverTap
	want(t, "accepted", report.Accepted, 98)
	want(t, "remembered as refused", len(w.Refused(sandbox.CleverTap)), 2)
	want(t, "token of the refused", w.Refused(sandbox.CleverTap)[0].Token, "123456")
}

func TestCleverTapRefusesTheCall(t *testing.T) {
	t.Parallel()
	const path = "/1/upload"
	with := func(name, value string) map[string]string {
		h := cleverTapHeader()
		h[name] = value
		return h
	}
	for name, c := range map[string]struct {
		method, path, body string
		header             map[string]string
		status             int
		answer             string
	}{
		"wrong account":     {"POST", path, batch(tokens(1)...), with("X-CleverTap-Account-Id", "other"), 401, `{"status":"fail","error":"Account ID is not valid","code":401}`},
		"no account":        {"POST", path, batch(tokens(1)...), with("X-CleverTap-Account-Id", ""), 401, `{"status":"fail","error":"Account ID is not valid","code":401}`},
		"wrong passcode":    {"POST", path, batch(tokens(1)...), with("X-CleverTap-Passcode", "other"), 401, `{"status":"fail","error":"Passcode Invalid","code":401}`},
		"101 records":       {"POST", path, batch(tokens(101)...), cleverTapHeader(), 400, `{"status":"fail","error":"Number of records exceeds the limit of 100 per call","code":400}`},
		"no JSON":           {"POST", path, `{"d":[`, cleverTapHeader(), 400, `{"status":"fail","error":"Malformed request","code":400}`},
		"d no array":        {"POST", path, `{"d":{}}`, cleverTapHeader(), 400, `{"status":"fail","error":"Malformed request","code":400}`},
		"no d":              {"POST", path, tokens(1)[0], cleverTapHeader(), 400, `{"status":"fail","error":"Mandatory parameter d is missing or empty","code":400}`},
		"empty d":           {"POST", path, `{"d":[]}`, cleverTapHeader(), 400, `{"status":"fail","error":"Mandatory parameter d is missing or empty","code":400}`},
		"form":              {"POST", path, batch(tokens(1)...), with("Content-Type", "application/x-www-form-urlencoded"), 400, `{"status":"fail","error":"Content-Type must be application/json; charset=utf-8","code":400}`},
		"other charset":     {"POST", path, batch(tokens(1)...), with("Content-Type", "application/json; charset=latin1"), 400, `{"status":"fail","error":"Content-Type must be application/json; charset=utf-8","code":400}`},
		"wrong method":      {"PUT", path, batch(tokens(1)...), cleverTapHeader(), 405, `{"status":"fail","error":"Method not allowed","code":405}`},
		"wrong path":        {"POST", "/1/uploads", batch(tokens(1)...), cleverTapHeader(), 404, `{"status":"fail","error":"Not found","code":404}`},
		"more than 8 MiB":   {"POST", path, strings.Repeat(" ", 8<<20+1), cleverTapHeader(), 413, `{"status":"fail","error":"Request too large","code":413}`},
		"only the base URL": {"POST", "", batch(tokens(1)...), cleverTapHeader(), 404, `{"status":"fail","error":"Not found","code":404}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, sandbox.Settings{})
			r, err := w.do(t.Context(), c.method, w.CleverTapURL()+c.path, c.body, c.header)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "status", r.status, c.status)
			sameJSON(t, "answer", r.body, c.answer)
			report := w.Report().CleverTap
			want(t, "accepted", report.Accepted, 0)
			want(t, "records", report.Records, 0)
			want(t, fmt.Sprintf("%ds", c.status), report.Statuses[fmt.Sprint(c.status)], 1)
		})
	}
}

func TestCleverTapDryRunStoresNothing(t *testing.T) {
	t.Parallel()
	w := start(t, sandbox.Settings{})
	for query, stored := range map[string]int{"?dryRun=1": 0, "?dryRun=0": 2} {
		r, err := w.do(t.Context(), http.MethodPost, w.CleverTapURL()+"/1/upload"+query,
			batch(token("o1", "t1"), token("", "t2"), token("o3", "t3")), cleverTapHeader())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(r.body, `"status" : "partial" , "processed" : 2`) {
			t.Errorf("%s: got %s", query, r.body)
		}
		want(t, "accepted with "+query, w.Report().CleverTap.Accepted, stored)
		want(t, "found good with "+query, w.Report().CleverTap.DryRun, 2-stored)
		w.Reset()
	}
}
