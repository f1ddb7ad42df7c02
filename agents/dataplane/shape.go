package dataplane

import (
	"context"

	"github.com/hashicorp/consul/proto-public/pbdataplane"

	"github.com/consulecs/terraform-provider-consulecs/agents/dataplane/zonefinder"
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
		a.names.For(params)
		all = append(all, a.names.Shape)
	}
	finder, err := zonefinder.Start(ctx, a.file.Locality, conn, proxy, params, own, a.log)
	if err != nil {
		return zones.Locality{}, err
	}
	if finder != nil {
		all = append(all, finder.Shape)
	}
	proxy.Shape(xds.Shapes(all...))
	return finder.Own(), nil
}
