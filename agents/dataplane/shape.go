package dataplane

import (
	"context"

	"github.com/hashicorp/consul/proto-public/pbdataplane"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/undelivered"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
	"github.com/consulecs/terraform-provider-consulecs/internal/zones"
)

// shape sets how Consul's configuration is changed on its way to Envoy. It returns the zone that is preferred, the zero value for none.
func (a *agent) shape(ctx context.Context, conn *consul.Connection, proxy *xds.Proxy, params *pbdataplane.GetEnvoyBootstrapParamsResponse, own *metrics.Dataplane) (zones.Locality, error) {
	var all []xds.Shape
	if !a.file.Envoy.RetryUndeliveredDisabled {
		all = append(all, undelivered.Shape(params.GetIdentity()))
	}
	finder, err := a.preferZone(conn, proxy, params, own)
	if err != nil {
		return zones.Locality{}, err
	}
	if finder != nil {
		all = append(all, finder.atlas.Shape)
		go finder.run(ctx)
	}
	proxy.Shape(inTurn(all))
	if finder == nil {
		return zones.Locality{}, nil
	}
	return finder.own, nil
}

// inTurn is a shape that changes a resource as each of some does, one after the other; nil for none.
func inTurn(shapes []xds.Shape) xds.Shape {
	if len(shapes) == 0 {
		return nil
	}
	return func(typeURL string) func(*wire.Message) error {
		var changes []func(*wire.Message) error
		for _, shape := range shapes {
			if change := shape(typeURL); change != nil {
				changes = append(changes, change)
			}
		}
		if len(changes) == 0 {
			return nil
		}
		return func(resource *wire.Message) error {
			for _, change := range changes {
				if err := change(resource); err != nil {
					return err
				}
			}
			return nil
		}
	}
}
