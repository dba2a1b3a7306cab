package helm_test

import (
	"strings"
	"testing"

	"github.com/tokenrelay/tokenrelay/deploy/helm"
)

const bothProviders = "{clevertap: {accountID: a, existingSecret: c}, courier: {existingSecret: c}}"

// What is wrong is refused before anything is installed, and the text says
// where it stands.
func TestWrongValues(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]string{
		// By the schema.
		"worker: {replicas: two}":                              "at '/worker/replicas': got string, want integer",
		"worker: {replicas: -1}":                               "at '/worker/replicas': minimum: got -1, want 0",
		"worker: {replica: 3}":                                 "at '/worker': additional properties 'replica' not allowed",
		"wrker: {}":                                            "at '': additional properties 'wrker' not allowed",
		"config: {HTTP_TIMEOUT: 10}":                           "at '/config/HTTP_TIMEOUT': got number, want string",
		"config: {HTTP_TIMEOUT: soon}":                         "at '/config/HTTP_TIMEOUT': 'soon' does not match pattern",
		"config: {HTTP_TIME_OUT: 10s}":                         "at '/config': additional properties 'HTTP_TIME_OUT' not allowed",
		"config: {CLEVERTAP_MAX_CONCURRENT: 16}":               "at '/config/CLEVERTAP_MAX_CONCURRENT': maximum: got 16, want 15",
		"config: {CLEVERTAP_MAX_CONCURRENT: null}":             "at '/config': missing property 'CLEVERTAP_MAX_CONCURRENT'",
		"config: {CLEVERTAP_REGION: mars}":                     "at '/config/CLEVERTAP_REGION': value must be one of",
		"config: {PROVIDERS: pidgeon}":                         "at '/config/PROVIDERS': 'pidgeon' does not match pattern",
		"config: {SHUTDOWN_GRACE: 10s}":                        "at '/config': additional properties 'SHUTDOWN_GRACE' not allowed",
		"nats: {url: 'nats://user:hunter2@nats:4222'}":         "at '/nats/url':", // it would stand in the Deployment for all to read
		"nats: {auth: {method: token}}":                        "at '/nats/auth/method': value must be one of 'none', 'creds', 'nkey', 'password'",
		"clevertap: {passcode: hunter2}":                       "at '/clevertap': additional properties 'passcode' not allowed",
		"clevertap: {existingSecret: 'No Name'}":               "at '/clevertap/existingSecret': 'No Name' does not match pattern",
		"worker: {image: {digest: 'sha256:1'}}":                "at '/worker/image/digest': 'sha256:1' does not match pattern",
		"worker: {goMemLimit: 32Mi}":                           "at '/worker/goMemLimit': '32Mi' does not match pattern",
		"worker: {podDisruptionBudget: {minAvailable: 1}}":     "at '/worker/podDisruptionBudget': additional properties 'minAvailable' not allowed",
		"worker: {podDisruptionBudget: {maxUnavailable: 0}}":   "at '/worker/podDisruptionBudget/maxUnavailable': minimum: got 0, want 1",
		"worker: {autoscaling: {minReplicas: 0}}":              "at '/worker/autoscaling/minReplicas': minimum: got 0, want 1",
		"worker: {autoscaling: {by: cron}}":                    "at '/worker/autoscaling/by': value must be one of 'none', 'keda', 'hpa'",
		"worker: {autoscaling: {keda: {accountID: PUSH}}}":     "at '/worker/autoscaling/keda/accountID': 'PUSH' does not match pattern",
		"courierWorker: {replicas: two}":                       "at '/courierWorker/replicas': got string, want integer",
		"courierWorker: {unknown: 1}":                          "at '/courierWorker': additional properties 'unknown' not allowed",
		"console: {nats: {tls: {ca: x}}}":                      "at '/console/nats/tls': additional properties 'ca' not allowed",
		"console: {hosts: ['https://relay.example.com']}":      "at '/console/hosts/0': 'https://relay.example.com' does not match pattern",
		"console: {replicas: 2}":                               "at '/console': additional properties 'replicas' not allowed",
		"podMonitor: {labels: {release: x}}":                   "at '/podMonitor': additional properties 'labels' not allowed",
		"commonLabels: {a: 1}":                                 "at '/commonLabels/a': got number, want string",
		"extraObjects: [text]":                                 "at '/extraObjects/0': got string, want object",
		"worker: {livenessProbe: {httpGet: {path: /}}}":        "at '/worker/livenessProbe': additional properties 'httpGet' not allowed",
		"{worker: {replicas: two}, console: {enabled: maybe}}": "at '/console/enabled': got string, want boolean", // all at once

		// What one value has to do with another, by the templates.
		"worker: {terminationGracePeriodSeconds: 29}":                                                      "worker.terminationGracePeriodSeconds: 29 is less than 30 (preStopSeconds + shutdownGraceSeconds + 5)",
		"worker: {preStopSeconds: 10, terminationGracePeriodSeconds: 30}":                                  "worker.terminationGracePeriodSeconds: 30 is less than 40",
		"{console: {enabled: true, existingSecret: c, terminationGracePeriodSeconds: 20}}":                 "console.terminationGracePeriodSeconds: 20 is less than 25 (preStopSeconds + 20 + 5)",
		"{courier: {existingSecret: c}, courierWorker: {enabled: true}}":                                   "worker.enabled: courierWorker has the only provider",
		"courierWorker: {enabled: true}":                                                                   "courierWorker.enabled: nothing is delivered to Courier",
		"clevertap: {existingSecret: c}":                                                                   "clevertap.accountID: not set, and clevertap.existingSecret is",
		"nats: {auth: {method: creds}}":                                                                    "nats.auth.existingSecret: not set, and nats.auth.method is creds",
		"nats: {auth: {method: password, existingSecret: relay}}":                                          "nats.auth.user: not set, and nats.auth.method is password",
		"nats: {tls: {existingSecret: relay, certKey: tls.crt}}":                                           "nats.tls.certKey and keyKey: one is set and the other is not",
		"console: {enabled: true}":                                                                         "console.existingSecret: not set, and a console that others can reach demands a password",
		"console: {enabled: true, existingSecret: c, nats: {auth: {method: nkey}}}":                        "console.nats.auth.existingSecret: not set, and console.nats.auth.method is nkey",
		"worker: {extraEnv: [{name: SHUTDOWN_GRACE, value: 60s}]}":                                         "worker.extraEnv: SHUTDOWN_GRACE is set by the chart already",
		"worker: {autoscaling: {by: keda}}":                                                                "worker.autoscaling.keda.monitoringEndpoint: not set",
		"worker: {autoscaling: {by: keda, keda: {monitoringEndpoint: 'n:8222', account: ''}}}":             "worker.autoscaling.keda.account: not set; give the account's name, or accountID where accounts are JWTs",
		"worker: {autoscaling: {by: hpa, minReplicas: 3, maxReplicas: 2}}":                                 "worker.autoscaling.maxReplicas: 2 is less than minReplicas (3)",
		"{courier: {existingSecret: c}, worker: {resources: {requests: null}, autoscaling: {by: hpa}}}":    "worker.resources.requests.cpu: not set, and worker.autoscaling.by hpa is a share of it",
		"{clevertap: {accountID: a, existingSecret: c}, worker: {autoscaling: {by: hpa, maxReplicas: 4}}}": "worker.autoscaling.maxReplicas: 4 is more than config.CLEVERTAP_MAX_CONCURRENT (3): a pod calls CleverTap only with one of the fleet's 3 permits, so further pods deliver nothing to it. Set it to 3 at most, or scale Courier alone by courierWorker.enabled",
		// Where nobody told the chart, it may be CleverTap.
		"worker: {autoscaling: {by: hpa, maxReplicas: 4}}": "worker.autoscaling.maxReplicas: 4 is more than config.CLEVERTAP_MAX_CONCURRENT (3)",
	} {
		refused(t, want, values)
	}
	refused(t, "worker.autoscaling.maxReplicas: 20 is more than config.CLEVERTAP_MAX_CONCURRENT (5)",
		bothProviders, "{config: {CLEVERTAP_MAX_CONCURRENT: 5}, worker: {autoscaling: {by: keda, maxReplicas: 20, keda: {monitoringEndpoint: 'n:8222'}}}}")
	refused(t, "courierWorker.autoscaling.keda.monitoringEndpoint: not set", bothProviders, "courierWorker: {enabled: true, autoscaling: {by: keda}}")
}

func refused(t *testing.T, want string, values ...string) {
	t.Helper()
	_, err := helm.Render(values...)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q:\n%v\nwant\n%s", values, err, want)
	}
	if err != nil && strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("%q: the templates stumble: %v", values, err)
	}
}
