package sandbox_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tokenrelay/tokenrelay/sandbox"
)

func Example() {
	s, err := sandbox.Start(sandbox.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	// Here your system runs, with CLEVERTAP_BASE_URL = s.CleverTapURL() and
	// COURIER_BASE_URL = s.CourierURL(). This one only knows Courier.
	register(s.CourierURL(), "user-1234", "ABW7HO9Y7XAQXZ7Y")

	// Wait instead of sleeping: it looks again after every call.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Wait(ctx, func(r sandbox.Report) bool { return r.Courier.Accepted == 1 }); err != nil {
		fmt.Println("the token never arrived:", err)
	}
	for _, record := range s.Accepted(sandbox.Courier) {
		fmt.Println(record.Identity, record.Token, string(record.Body))
	}
	fmt.Println("calls open at once:", s.Report().Courier.PeakOpen)

	// Output:
	// user-1234 ABW7HO9Y7XAQXZ7Y {"provider_key":"firebase-fcm"}
	// calls open at once: 1
}

func ExampleServer_SetRules() {
	s, err := sandbox.Start(sandbox.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	err = s.SetRules(
		sandbox.Rule{Provider: sandbox.Courier, Token: sandbox.Match{Prefix: "stale-"}, Effect: sandbox.Refuse, Code: "400"},
		sandbox.Rule{Effect: sandbox.Status, Status: 503, Calls: 1}, // only the first call of all
	)
	if err != nil {
		fmt.Println(err) // a line a mistake
	}
	for _, token := range []string{"first", "first", "stale-1", "second"} {
		fmt.Println(token, register(s.CourierURL(), "user-1234", token))
	}
	fmt.Println(len(s.Accepted(sandbox.Courier)), "accepted,", len(s.Refused(sandbox.Courier)), "refused")

	// Output:
	// first 503 Service Unavailable
	// first 204 No Content
	// stale-1 400 Bad Request
	// second 204 No Content
	// 2 accepted, 1 refused
}

// register stands for the system under test.
func register(base, userID, token string) string {
	request, err := http.NewRequest(http.MethodPut, base+"/users/"+userID+"/tokens/"+token, strings.NewReader(`{"provider_key":"firebase-fcm"}`))
	if err != nil {
		return err.Error()
	}
	request.Close = true
	request.Header.Set("Authorization", "Bearer "+sandbox.DefaultAPIKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	_ = response.Body.Close()
	return response.Status
}
