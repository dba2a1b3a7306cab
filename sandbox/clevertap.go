package sandbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What CleverTap's documents say of POST /1/upload: the request and the cap in
// "Upload Device Tokens API", the codes in "Error Codes" (530 to 535).
const (
	cleverTapRecords = 100
	cleverTapBytes   = 8 << 20 // not documented
)

type cleverTap struct {
	accountID string
	passcode  atomic.Pointer[string]
	book      *book
}

func (c *cleverTap) name() string   { return CleverTap }
func (c *cleverTap) records() *book { return c.book }

func (c *cleverTap) read(r *http.Request, path string) incoming {
	fail := func(status int, text string) incoming {
		a := c.trouble(status, text)
		return incoming{early: &a}
	}
	body, err := readBody(r, cleverTapBytes)
	switch {
	case errors.Is(err, errTooLarge):
		return fail(http.StatusRequestEntityTooLarge, "Request too large")
	case err != nil:
		return fail(http.StatusBadRequest, "Malformed request")
	case path != "/1/upload":
		return fail(http.StatusNotFound, "Not found")
	case r.Method != http.MethodPost:
		return fail(http.StatusMethodNotAllowed, "Method not allowed")
	case !same(r.Header.Get("X-CleverTap-Account-Id"), c.accountID):
		return fail(http.StatusUnauthorized, "Account ID is not valid")
	case !same(r.Header.Get("X-CleverTap-Passcode"), *c.passcode.Load()):
		return fail(http.StatusUnauthorized, "Passcode Invalid")
	case !isJSON(r):
		return fail(http.StatusBadRequest, "Content-Type must be application/json; charset=utf-8")
	}
	var upload struct {
		D []jsontext.Value `json:"d"`
	}
	switch err := json.Unmarshal(body, &upload); {
	case err != nil:
		return fail(http.StatusBadRequest, "Malformed request")
	case len(upload.D) == 0:
		return fail(http.StatusBadRequest, "Mandatory parameter d is missing or empty")
	case len(upload.D) > cleverTapRecords:
		return fail(http.StatusBadRequest, "Number of records exceeds the limit of 100 per call")
	}
	in := incoming{
		records: make([]Record, len(upload.D)),
		texts:   make([]string, len(upload.D)),
		dryRun:  r.URL.Query().Get("dryRun") == "1",
	}
	for i, raw := range upload.D {
		in.records[i] = judgeToken(raw)
	}
	return in
}

// judgeToken reads one record and gives it a code when CleverTap would refuse it.
func judgeToken(raw jsontext.Value) Record {
	var sent struct {
		Type      any            `json:"type"`
		ObjectID  any            `json:"objectId"`
		TokenData jsontext.Value `json:"tokenData"`
	}
	var data struct {
		ID   any `json:"id"`
		Type any `json:"type"`
		Keys any `json:"keys"`
	}
	record := Record{Body: []byte(raw)}
	if json.Unmarshal(raw, &sent) != nil {
		record.Code = "524"
		return record
	}
	badData := sent.TokenData.Kind() != '{' || json.Unmarshal(sent.TokenData, &data) != nil
	record.Identity, record.Token = text(sent.ObjectID), text(data.ID)
	kind, kindIsText := data.Type.(string)
	_, idIsText := data.ID.(string)
	_, objectIsText := sent.ObjectID.(string)
	switch {
	case sent.Type != "token":
		record.Code = "524"
	case !objectIsText || !plain(record.Identity, 512):
		record.Code = "530"
	case badData:
		record.Code = "531"
	case data.ID == nil || data.ID == "":
		record.Code = "532"
	case data.Type == nil || data.Type == "":
		record.Code = "533"
	case !idIsText || !kindIsText || !plain(record.Token, 4096) || strings.ContainsFunc(record.Token, unicode.IsSpace):
		record.Code = "531"
	case !typeFits(kind, record.Identity):
		record.Code = "534"
	case kind == "chrome" && !webPushKeys(data.Keys):
		record.Code = "535"
	}
	return record
}

// text is what an identifier says, whatever JSON made of it.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

func plain(s string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, unicode.IsControl)
}

// typeFits is our reading of 534, "type not valid for objectId": the SDKs
// begin an objectId with "__" on Android, "-" on iOS and "~" on Windows; what
// begins otherwise, and every Chrome, may be anything.
func typeFits(kind, objectID string) bool {
	switch kind {
	case "chrome":
		return true
	case "fcm", "gcm":
		return !strings.HasPrefix(objectID, "-") && !strings.HasPrefix(objectID, "~")
	case "apns":
		return !strings.HasPrefix(objectID, "__") && !strings.HasPrefix(objectID, "~")
	case "wns", "mpns":
		return !strings.HasPrefix(objectID, "__") && !strings.HasPrefix(objectID, "-")
	}
	return false
}

// webPushKeys tells whether both keys are there, in any base64, 65 and 16 bytes long.
func webPushKeys(keys any) bool {
	object, _ := keys.(map[string]any)
	return base64Length(object["p256dh"]) == 65 && base64Length(object["auth"]) == 16
}

func base64Length(value any) int {
	s, _ := value.(string)
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	decoded, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return 0
	}
	return len(decoded)
}

// answer has the odd spacing of recorded answers.
func (c *cleverTap) answer(in incoming) answer {
	var unprocessed bytes.Buffer
	refused := 0
	for i, record := range in.records {
		if record.Code == "" {
			continue
		}
		if refused > 0 {
			unprocessed.WriteString(" , ")
		}
		refused++
		words := in.texts[i]
		if words == "" {
			words = codeText(record.Code)
		}
		code := record.Code
		if _, err := strconv.Atoi(code); err != nil {
			code = string(quote(code))
		}
		fmt.Fprintf(&unprocessed, `{ "status" : "fail" , "code" : %s , "error" : %s , "record" : %s}`,
			code, quote(fmt.Sprintf("%s Skipped record number : %d", words, i+1)), echo(jsontext.Value(record.Body)))
	}
	accepted := len(in.records) - refused
	status := "success"
	switch {
	case accepted == 0:
		status = "fail"
	case refused > 0:
		status = "partial"
	}
	return cleverTapAnswer(http.StatusOK, fmt.Sprintf(`{ "status" : "%s" , "processed" : %d , "unprocessed" : [ %s]}`, status, accepted, unprocessed.Bytes()))
}

// echo is a record as CleverTap gives it back: numbers have become strings,
// strings of digits numbers (recorded: 13 came back as "13", "+35922333232"
// as 35922333232).
func echo(record jsontext.Value) []byte {
	var value any
	if err := json.Unmarshal(record, &value); err != nil {
		return record
	}
	out, err := json.Marshal(mutate(value), json.Deterministic(true), jsontext.SpaceAfterComma(true))
	if err != nil {
		return record
	}
	return out
}

func mutate(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = mutate(v[name])
		}
	case []any:
		for i := range v {
			v[i] = mutate(v[i])
		}
	case float64:
		return text(v)
	case string:
		digits := strings.TrimPrefix(v, "+")
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil && strconv.FormatInt(n, 10) == digits && len(digits) <= 15 {
			return n
		}
	}
	return value
}

func codeText(code string) string {
	switch code {
	case "524":
		return "Data is neither event nor profile."
	case "530":
		return "Token data is incorrect. Invalid objectId."
	case "531", "535":
		return "Token data is incorrect. Invalid token data."
	case "532":
		return "Token data is incorrect. Token id not present."
	case "533":
		return "Token data is incorrect. Token type not present."
	case "534":
		return "Token data is incorrect. Token type not valid for objectId."
	case "555":
		return "Miscellaneous server error."
	}
	return "Token data is incorrect."
}

func (c *cleverTap) trouble(status int, text string) answer {
	if text == "" {
		text = http.StatusText(status)
	}
	return cleverTapAnswer(status, fmt.Sprintf(`{ "status" : "fail" , "error" : %s , "code" : %d}`, quote(text), status))
}

// miscounted lacks one record.
func miscounted(records int) answer {
	return cleverTapAnswer(http.StatusOK, fmt.Sprintf(`{ "status" : "success" , "processed" : %d , "unprocessed" : [ ]}`, records-1))
}

func cleverTapAnswer(status int, body string) answer {
	return answer{status: status, contentType: "application/json;charset=utf-8", body: []byte(body)}
}
