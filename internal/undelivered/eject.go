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

	// EjectAtMost is the share in percent of a service's instances that may be left out at once.
	EjectAtMost = 99
)

// How a receiver of protocol tcp leaves out its own application.
const (
	absentFor    = 250 * time.Millisecond // at first, and then it is tried again
	absentLonger = 2 * time.Second        // at the most, when it is not there again and again
	absentAtMost = 100                    // percent: it is the only one
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
	outliersForAtMost             wire.Number = 21

	balancingPanic wire.Number = 1
)

// Eject has a cluster leave out instances that cannot be reached, where Consul configures nothing of the kind: an empty
// message is what it sends then.
func Eject(cluster *wire.Message) error {
	outliers, err := cluster.Message(clusterOutliers)
	if err != nil || len(outliers.Bytes()) > 0 {
		return err
	}
	cluster.Set(clusterOutliers, unreachable(ejectAfter, EjectAtMost).
		SetDuration(outliersInterval, ejectInterval).
		SetDuration(outliersFor, ejectFor))
	return nil
}

// unreachable leaves out who could not be connected to so often in a row, and for no other reason.
func unreachable(after, atMost uint64) *wire.Message {
	return new(wire.Message).
		SetWrapped(outliersAtMost, atMost).
		SetWrapped(outliersEnforce5xx, 0).
		SetWrapped(outliersEnforceSuccessRate, 0).
		SetWrapped(outliersEnforceGateway, 0).
		SetUint(outliersSplit, 1).
		SetWrapped(outliersLocal, after).
		SetWrapped(outliersEnforceLocal, 100).
		SetWrapped(outliersEnforceLocalSuccesses, 0)
}

// refuseWhileAbsent has the Envoy of a receiver of protocol tcp refuse connections for a moment after its application has refused one. It
// closes them then before it has shaken hands with the caller's Envoy, for which that is a connection that did not come about,
// to be tried elsewhere. As long as it asks the application each time, it is a matter of luck which comes first.
func refuseWhileAbsent(application *wire.Message) error {
	outliers, err := application.Message(clusterOutliers)
	if err != nil || len(outliers.Bytes()) > 0 {
		return err
	}
	application.Set(clusterOutliers, unreachable(1, absentAtMost).
		SetDuration(outliersInterval, absentFor).
		SetDuration(outliersFor, absentFor).
		SetDuration(outliersForAtMost, absentLonger))
	return application.Edit(clusterBalancing, func(balancing *wire.Message) error {
		balancing.Set(balancingPanic, new(wire.Message)) // at 0 %: else Envoy goes on with an application that it has left out
		return nil
	})
}

// EjectNearlyAll is Eject for a cluster of which all instances in one zone may have to be left out. Where Consul configures who is
// left out and not how many, Envoy's 10 percent would keep it from that, so the share alone is set. It tells the share in force.
func EjectNearlyAll(cluster *wire.Message) (percent uint64, err error) {
	if err := Eject(cluster); err != nil {
		return 0, err
	}
	err = cluster.Edit(clusterOutliers, func(outliers *wire.Message) error {
		if !outliers.Has(outliersAtMost) {
			outliers.SetWrapped(outliersAtMost, EjectAtMost)
		}
		share, err := outliers.Message(outliersAtMost)
		if err == nil {
			percent = share.Uint(1)
		}
		return err
	})
	return percent, err
}
