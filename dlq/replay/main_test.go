package replay

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tokenrelay/tokenrelay/internal/broker/brokertest"
)

func TestMain(m *testing.M) {
	brokertest.ServeIfAsked()
	goleak.VerifyTestMain(m)
}
