package keda_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/tokenrelay/tokenrelay/consumer"
	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

// scaler is KEDA's, with the trigger that the chart makes.
func scaler(t *testing.T, values ...string) scalers.Scaler {
	t.Helper()
	trigger := scaledObjects(t, append([]string{`
courier: {existingSecret: c}
worker: {autoscaling: {by: keda, keda: {lagThreshold: 10}}}`}, values...)...)[0].Spec.Triggers[0]
	if trigger.Type != "nats-jetstream" {
		t.Fatalf("the trigger is %s", trigger.Type)
	}
	s, err := scalers.NewNATSJetStreamScaler(&scalersconfig.ScalerConfig{
		TriggerMetadata: trigger.Metadata, MetricType: autoscalingv2.AverageValueMetricType, GlobalHTTPTimeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	target := s.GetMetricSpecForScaling(t.Context())[0].External.Target
	if target.AverageValue.Value() != 10 {
		t.Errorf("KEDA aims at %s events a pod", target.AverageValue)
	}
	return s
}

func at(endpoint string) string {
	return fmt.Sprintf("worker: {autoscaling: {keda: {monitoringEndpoint: %q}}}", endpoint)
}

// lag is what KEDA reads.
func lag(t *testing.T, s scalers.Scaler) (int, error) {
	t.Helper()
	metrics, active, err := s.GetMetricsAndActivity(t.Context(), "lag")
	if err != nil {
		return 0, err
	}
	if value := metrics[0].Value.Value(); active == (value > 0) {
		return int(value), nil
	}
	t.Fatalf("KEDA reads %v, and thinks that it is active: %t", metrics, active)
	return 0, nil
}

// agrees waits until KEDA reads what we see: monitoring is served beside the
// broker's answers, not after them.
func agrees(t *testing.T, s scalers.Scaler, b *backlog, provider string, want int) {
	t.Helper()
	if seen := b.seen(t, provider); seen != want {
		t.Fatalf("we see %d events for %s, want %d", seen, provider, want)
	}
	var read int
	var err error
	brokertest.Eventually(t, fmt.Sprintf("KEDA reads %d for %s", want, provider), func() bool {
		if read, err = lag(t, s); err != nil || read != want {
			t.Logf("KEDA reads %d: %v", read, err)
			return false
		}
		return true
	})
}

func TestPlainAccount(t *testing.T) {
	t.Parallel()
	s := startServer(t, "plain:8222", &server.Options{})
	b := newBacklog(t, 1, s.ClientURL())
	courier := scaler(t, at("plain:8222"))
	agrees(t, courier, b, "courier", events) // what is in hand waits, too
	agrees(t, courier, b, "courier", b.settle(t, "courier"))
	clevertap := scaler(t, at("plain:8222"), "{clevertap: {accountID: a, existingSecret: c}, courier: {existingSecret: ''}}")
	agrees(t, clevertap, b, "clevertap", events)
}

func TestNamedAccount(t *testing.T) {
	t.Parallel()
	s := startServer(t, "named:8222", configured(t, `
accounts {
  PUSH: { jetstream: enabled, users: [{ user: worker, password: hunter2 }] }
  SYS: { users: [{ user: system, password: hunter3 }] }
}
system_account: SYS
`))
	b := newBacklog(t, 1, s.ClientURL(), nats.UserInfo("worker", "hunter2"))
	agrees(t, scaler(t, at("named:8222"), "worker: {autoscaling: {keda: {account: PUSH}}}"), b, "courier", events)
}

// A missing consumer is an error, not a zero: KEDA then leaves the number of
// pods as it is.
func TestMissingConsumer(t *testing.T) {
	t.Parallel()
	s := startServer(t, "empty:8222", &server.Options{})
	b := newBacklog(t, 1, s.ClientURL())
	if err := b.js.DeleteConsumer(t.Context(), consumer.EventsStream, "courier"); err != nil {
		t.Fatal(err)
	}
	if read, err := lag(t, scaler(t, at("empty:8222"))); err == nil {
		t.Errorf("KEDA reads %d of a consumer that is not there", read)
	}
}

// Where accounts are JWTs monitoring knows them by their key.
func TestJWTAccount(t *testing.T) {
	t.Parallel()
	operator, push, system := key(t, nkeys.CreateOperator), key(t, nkeys.CreateAccount), key(t, nkeys.CreateAccount)
	operatorClaims := jwt.NewOperatorClaims(operator.id)
	operatorClaims.SystemAccount = system.id
	preload := ""
	for name, of := range map[string]pair{"PUSH": push, "SYS": system} {
		claims := jwt.NewAccountClaims(of.id)
		claims.Name = name
		if name == "PUSH" {
			claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
		}
		preload += of.id + ": " + encode(t, claims, operator) + "\n"
	}
	s := startServer(t, "jwt:8222", configured(t, "operator: "+encode(t, operatorClaims, operator)+"\nresolver: MEMORY\nresolver_preload: {\n"+preload+"}"))
	user := key(t, nkeys.CreateUser)
	credentials, err := jwt.FormatUserConfig(encode(t, jwt.NewUserClaims(user.id), push), user.seed)
	if err != nil {
		t.Fatal(err)
	}
	b := newBacklog(t, 1, s.ClientURL(), nats.UserCredentialBytes(credentials))

	agrees(t, scaler(t, at("jwt:8222"), "worker: {autoscaling: {keda: {account: '', accountID: "+push.id+"}}}"), b, "courier", events)
	agrees(t, scaler(t, at("jwt:8222"), "worker: {autoscaling: {keda: {account: PUSH, accountID: "+push.id+"}}}"), b, "courier", events)
	// Why the chart has accountID at all.
	if read, err := lag(t, scaler(t, at("jwt:8222"), "worker: {autoscaling: {keda: {account: PUSH}}}")); err == nil {
		t.Errorf("KEDA reads %d by the account's name alone: the README says that it does not", read)
	}
}

type pair struct {
	nkeys.KeyPair
	id   string
	seed []byte
}

func key(t *testing.T, create func() (nkeys.KeyPair, error)) pair {
	t.Helper()
	made, err := create()
	if err != nil {
		t.Fatal(err)
	}
	id, err := made.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := made.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return pair{made, id, seed}
}

func encode(t *testing.T, claims jwt.Claims, by pair) string {
	t.Helper()
	text, err := claims.Encode(by)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// In a cluster only the consumer's leader knows. KEDA finds it by the nodes'
// names, whichever node it asks first, and finds the next one, too.
func TestThreeNodes(t *testing.T) {
	t.Parallel()
	t.Run("that advertise their addresses", func(t *testing.T) {
		t.Parallel()
		servers := startCluster(t, "advertised", func(i int, options *server.Options) {
			options.ClientAdvertise = fmt.Sprintf("n%d.advertised:4222", i)
		})
		followsTheLeader(t, servers, "n0.advertised:8222", "n1.advertised:8222", "n2.advertised:8222", "advertised:8222")
	})
	// As NATS' own chart has them.
	t.Run("below a headless service", func(t *testing.T) {
		t.Parallel()
		servers := startCluster(t, "headless", func(_ int, options *server.Options) { options.Cluster.NoAdvertise = true })
		followsTheLeader(t, servers, "headless:8222")
	})
}

func followsTheLeader(t *testing.T, servers []*server.Server, endpoints ...string) {
	t.Helper()
	b := newBacklog(t, 3, clientURLs(servers), nats.IgnoreDiscoveredServers())
	asked := map[string]scalers.Scaler{}
	for _, endpoint := range endpoints {
		asked[endpoint] = scaler(t, at(endpoint))
		t.Log("asking", endpoint)
		agrees(t, asked[endpoint], b, "courier", events)
	}
	led := leader(t, b)
	brokertest.Eventually(t, "another node leads the consumer", func() bool {
		_, _ = b.js.Conn().Request("$JS.API.CONSUMER.LEADER.STEPDOWN.TOKENS.courier", nil, 10*time.Second)
		now := leader(t, b)
		return now != "" && now != led
	})
	left := b.settle(t, "courier")
	for endpoint, s := range asked {
		t.Log("asking", endpoint, "again")
		agrees(t, s, b, "courier", left)
	}
}

// leader is the node that leads the consumer, empty while none does.
func leader(t *testing.T, b *backlog) string {
	t.Helper()
	c, err := b.js.Consumer(t.Context(), consumer.EventsStream, "courier")
	if err != nil {
		return ""
	}
	info := c.CachedInfo()
	if info.Cluster == nil {
		return ""
	}
	return strings.TrimSpace(info.Cluster.Leader)
}
