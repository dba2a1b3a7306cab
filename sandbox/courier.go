package sandbox

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// courierBytes is Courier's documented limit of a body.
const courierBytes = 6 << 20

// courier does PUT /users/{user_id}/tokens/{token}, "Add single token to user".
type courier struct {
	apiKey atomic.Pointer[string]
	book   *book
}

func (c *courier) name() string   { return Courier }
func (c *courier) records() *book { return c.book }

func (c *courier) read(r *http.Request, path string) incoming {
	fail := func(status int, text string) incoming {
		a := c.trouble(status, text)
		return incoming{early: &a}
	}
	body, err := readBody(r, courierBytes)
	userID, token, found := tokenPath(path)
	switch {
	case errors.Is(err, errTooLarge):
		return fail(http.StatusRequestEntityTooLarge, "Request body is too large")
	case err != nil:
		return fail(http.StatusBadRequest, "Request body could not be read")
	case !found || r.Method != http.MethodPut:
		// What answers here is the gateway, not the token service.
		return incoming{early: &answer{status: http.StatusNotFound, contentType: "application/json", body: []byte(`{"message":"Not Found"}`)}}
	case !same(r.Header.Get("Authorization"), "Bearer "+*c.apiKey.Load()):
		return fail(http.StatusUnauthorized, "Unauthorized")
	}
	in := incoming{records: []Record{{Identity: userID, Token: token, Body: body}}, texts: []string{""}}
	if !isJSON(r) {
		in.texts[0] = "Content-Type must be application/json"
	} else {
		in.texts[0] = judgeBody(body, token)
	}
	if in.texts[0] != "" {
		in.records[0].Code = strconv.Itoa(http.StatusBadRequest)
		if !jsontext.Value(body).IsValid() {
			in.records[0].Body = nil // Record.Body is JSON
		}
	}
	return in
}

// tokenPath takes /users/{user_id}/tokens/{token} apart, both percent-encoded.
func tokenPath(path string) (userID, token string, found bool) {
	parts := strings.Split(path, "/")
	if len(parts) != 5 || parts[0] != "" || parts[1] != "users" || parts[3] != "tokens" {
		return "", "", false
	}
	userID, errUser := url.PathUnescape(parts[2])
	token, errToken := url.PathUnescape(parts[4])
	for _, part := range []string{userID, token} {
		if part == "" || part == "." || part == ".." {
			return "", "", false
		}
	}
	return userID, token, errUser == nil && errToken == nil
}

// judgeBody says what Courier would find wrong; empty is nothing.
func judgeBody(body []byte, token string) string {
	var sent struct {
		ProviderKey *string            `json:"provider_key"`
		Token       *string            `json:"token"`
		ExpiryDate  any                `json:"expiry_date"`
		Device      map[string]*string `json:"device"`
		Tracking    map[string]*string `json:"tracking"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		serr, ok := errors.AsType[*json.SemanticError](err)
		if !ok {
			return "Request body is not valid JSON"
		}
		if field := dotted(serr.JSONPointer); field != "" {
			return field + " has the wrong type"
		}
		return "Request body must be an object"
	}
	switch {
	case sent.ProviderKey == nil:
		return "provider_key is required"
	case !providerKey(*sent.ProviderKey):
		return "provider_key must be one of firebase-fcm, apn, expo, onesignal"
	case sent.Token != nil && *sent.Token != token:
		return "token must match token in URL"
	case !expiry(sent.ExpiryDate):
		return "expiry_date must be an ISO 8601 date or false"
	}
	return ""
}

func providerKey(key string) bool {
	switch key {
	case "firebase-fcm", "apn", "expo", "onesignal":
		return true
	}
	return false
}

func expiry(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		date, _, _ := strings.Cut(v, "T")
		_, err := time.Parse(time.DateOnly, date)
		return err == nil
	}
	return false
}

func (c *courier) answer(in incoming) answer {
	record := in.records[0]
	if record.Code == "" {
		return answer{status: http.StatusNoContent}
	}
	status, err := strconv.Atoi(record.Code)
	if err != nil { // cannot be: rules are validated
		status = http.StatusBadRequest
	}
	return c.trouble(status, in.texts[0])
}

// trouble has the types of Courier's table of errors.
func (c *courier) trouble(status int, text string) answer {
	kind := "invalid_request_error"
	switch {
	case status == http.StatusUnauthorized:
		kind = "authentication_error"
	case status == http.StatusForbidden:
		kind = "authorization_error"
	case status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case status >= 500:
		kind = "api_error"
	}
	if text == "" {
		text = http.StatusText(status)
	}
	return answer{status: status, contentType: "application/json", body: []byte(`{"message":` + string(quote(text)) + `,"type":"` + kind + `"}`)}
}
