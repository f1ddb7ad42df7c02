package undelivered

import (
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// Who is left out, and for how long. Only connections that did not come about count: an application's errors say nothing of
// whether it got the request. Never all instances: with 100 %, two seconds without a network became an outage of thirty.
const (
	ejectAfter    = 3
	ejectInterval = time.Second
	ejectFor      = 3 * time.Second
	ejectAtMost   = 99 // percent
)

// Fields of Envoy's OutlierDetection.
const (
	outliersInterval              wire.Number = 2
	outliersFor                   wire.Number = 3
	outliersAtMost                wire.Number = 4
	outliersEnforce5xx            wire.Number = 5
	outliersEnforceSuccessRate    wire.Number = 6
	outliersEnforceGateway        wire.Number = 11
	outliersSplit                 wire.Number = 12
	outliersLocal                 wire.Number = 13
	outliersEnforceLocal          wire.Number = 14
	outliersEnforceLocalSuccesses wire.Number = 15
)

// Eject has a cluster leave out instances that cannot be reached, where Consul configures nothing of the kind: an empty
// message is what it sends then.
func Eject(cluster *wire.Message) error {
	outliers, err := cluster.Message(clusterOutliers)
	if err != nil || len(outliers.Bytes()) > 0 {
		return err
	}
	cluster.Set(clusterOutliers, new(wire.Message).
		SetDuration(outliersInterval, ejectInterval).
		SetDuration(outliersFor, ejectFor).
		SetWrapped(outliersAtMost, ejectAtMost).
		SetWrapped(outliersEnforce5xx, 0).
		SetWrapped(outliersEnforceSuccessRate, 0).
		SetWrapped(outliersEnforceGateway, 0).
		SetUint(outliersSplit, 1).
		SetWrapped(outliersLocal, ejectAfter).
		SetWrapped(outliersEnforceLocal, 100).
		SetWrapped(outliersEnforceLocalSuccesses, 0))
	return nil
}
