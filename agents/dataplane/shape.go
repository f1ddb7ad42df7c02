package dataplane

import (
	"context"

	"github.com/hashicorp/consul/proto-public/pbdataplane"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/undelivered"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
	"github.com/consulecs/terraform-provider-consulecs/internal/zones"
)

// shape sets how Consul's configuration is changed on its way to Envoy. It returns the zone that is preferred, the zero value for none.
func (a *agent) shape(ctx context.Context, conn *consul.Connection, proxy *xds.Proxy, params *pbdataplane.GetEnvoyBootstrapParamsResponse, own *metrics.Dataplane) (zones.Locality, error) {
	var all []xds.Shape
	if !a.file.Envoy.RetryUndeliveredDisabled {
		all = append(all, undelivered.Shape(params.GetIdentity(), params.GetConfig().GetFields()["protocol"].GetStringValue()))
	}
	if a.names != nil {
		a.names.of(params)
		all = append(all, a.names.shape)
	}
	finder, err := a.preferZone(conn, proxy, params, own)
	if err != nil {
		return zones.Locality{}, err
	}
	if finder != nil {
		all = append(all, finder.atlas.Shape)
		go finder.run(ctx)
	}
	proxy.Shape(xds.Shapes(all...))
	if finder == nil {
		return zones.Locality{}, nil
	}
	return finder.own, nil
}
