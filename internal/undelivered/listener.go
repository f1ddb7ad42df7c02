package undelivered

import (
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/clustername"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// Fields of listeners, filters and routes, from Envoy's API v3.
const (
	listenerChains       wire.Number = 3
	listenerDirection    wire.Number = 16
	listenerDefaultChain wire.Number = 25
	chainFilters         wire.Number = 3
	filterConfig         wire.Number = 4

	managerRoutes  wire.Number = 4
	managerReplies wire.Number = 38

	repliesMappers wire.Number = 1
	mapperFilter   wire.Number = 1
	mapperHeaders  wire.Number = 5
	filterFlags    wire.Number = 9
	flagsNames     wire.Number = 1
	optionHeader   wire.Number = 1
	optionAction   wire.Number = 3
	headerKey      wire.Number = 1
	headerValue    wire.Number = 2

	tcpCluster  wire.Number = 2
	tcpWeighted wire.Number = 10
	tcpAttempts wire.Number = 7
	tcpBackOff  wire.Number = 18
	backOffBase wire.Number = 1

	routesHosts   wire.Number = 2
	routesStrip   wire.Number = 5
	hostRoutes    wire.Number = 3
	hostRetries   wire.Number = 16
	hostRetriesBy wire.Number = 20
	hostBuffer    wire.Number = 25
	hostBufferWas wire.Number = 18 // what it was until Envoy 1.36, which warns of it

	routeAction       wire.Number = 2
	routeBuffer       wire.Number = 20
	routeBufferWas    wire.Number = 16
	actionCluster     wire.Number = 1
	actionWeighted    wire.Number = 3
	actionRetries     wire.Number = 9
	actionRetriesBy   wire.Number = 33
	weightedClusters  wire.Number = 1
	weightedName      wire.Number = 1
	policyOn          wire.Number = 1
	policyRetries     wire.Number = 2
	policyPriority    wire.Number = 4
	policyHosts       wire.Number = 5
	policyHostPicks   wire.Number = 6
	policyBackOff     wire.Number = 8
	policyHeaders     wire.Number = 9
	extensionName     wire.Number = 1
	extensionConfig   wire.Number = 3
	backOffMax        wire.Number = 2
	prioritiesEvery   wire.Number = 1
	matcherName       wire.Number = 1
	matcherText       wire.Number = 13
	textExact         wire.Number = 1
	inbound                       = 1
	outbound                      = 2
	overwriteOrAdd                = 2
	connectionFailure             = "UF" // Envoy's flag of a request whose connection to the application did not come about
	nobodyThere                   = "UH" // and of one for which it tried none, having left the application out

	typeManager    = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
	typeTCP        = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
	typeHosts      = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
	typePriorities = "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
	nameHosts      = "envoy.retry_host_predicates.previous_hosts"
	namePriorities = "envoy.retry_priorities.previous_priorities"
)

// alsoLeads tells which services a cluster leads to, beside the one that it is named after.
type alsoLeads func(cluster string) (services []string)

// changeListener changes a listener: an inbound one says of the service what was not delivered, an outbound one tries again.
func changeListener(listener *wire.Message, service string, also alsoLeads) error {
	var edit func(filter *wire.Message) error
	switch listener.Uint(listenerDirection) {
	case inbound:
		edit = func(config *wire.Message) error {
			return config.EditAny(typeManager, func(m *wire.Message) error { return receive(m, service) })
		}
	case outbound:
		edit = func(config *wire.Message) error {
			if err := config.EditAny(typeTCP, connectAgain); err != nil {
				return err
			}
			return config.EditAny(typeManager, func(m *wire.Message) error {
				if !m.Has(managerRoutes) {
					return nil // they come as resources of their own
				}
				return m.Edit(managerRoutes, func(routes *wire.Message) error { return changeRoutes(routes, also) })
			})
		}
	default:
		return nil
	}
	chain := func(chain *wire.Message) (bool, error) {
		return true, chain.EditEach(chainFilters, func(filter *wire.Message) (bool, error) { return true, filter.Edit(filterConfig, edit) })
	}
	if err := listener.EditEach(listenerChains, chain); err != nil {
		return err
	}
	return listener.EditEach(listenerDefaultChain, chain)
}

// receive has a receiver's Envoy say so where it could not reach the application, and keeps the application from saying it.
func receive(manager *wire.Message, service string) error {
	err := manager.Edit(managerReplies, func(replies *wire.Message) error {
		flags := new(wire.Message).AddText(flagsNames, connectionFailure).AddText(flagsNames, nobodyThere)
		header := new(wire.Message).SetText(headerKey, Header).SetText(headerValue, service)
		replies.Add(repliesMappers, new(wire.Message).
			Set(mapperFilter, new(wire.Message).Set(filterFlags, flags)).
			Add(mapperHeaders, new(wire.Message).Set(optionHeader, header).SetUint(optionAction, overwriteOrAdd)))
		return nil
	})
	if err != nil || !manager.Has(managerRoutes) {
		return err
	}
	return manager.Edit(managerRoutes, strip)
}

// strip takes the header out of answers. Envoy does so after it has decided on a retry, and not with answers of its own.
func strip(routes *wire.Message) error {
	if !slices.Contains(routes.Texts(routesStrip), Header) {
		routes.AddText(routesStrip, Header)
	}
	return nil
}

// connectAgain has a TCP connection to a service tried more than once. Consul has no setting for it. What a transparent proxy
// passes through to elsewhere is the application's own affair.
func connectAgain(tcp *wire.Message) error {
	services, err := destinations(tcp, tcpCluster, tcpWeighted, nil)
	if err != nil || len(services) == 0 {
		return err
	}
	if !tcp.Has(tcpAttempts) {
		tcp.SetWrapped(tcpAttempts, connectAttempts)
	}
	if !tcp.Has(tcpBackOff) {
		tcp.Set(tcpBackOff, new(wire.Message).SetDuration(backOffBase, connectPause))
	}
	return nil
}

// changeRoutes changes the routes to services that are called: those without a retry policy, their own or their host's, get ours.
// Consul writes one as soon as a service-router says anything of retries, be it a number alone.
func changeRoutes(routes *wire.Message, also alsoLeads) error {
	err := routes.EditEach(routesHosts, func(host *wire.Message) (bool, error) {
		if host.Has(hostRetries) || host.Has(hostRetriesBy) {
			return true, nil
		}
		return true, host.EditEach(hostRoutes, func(route *wire.Message) (bool, error) {
			if !route.Has(routeAction) {
				return true, nil // a redirect, or an answer of Envoy's own
			}
			ours := false
			err := route.Edit(routeAction, func(action *wire.Message) (err error) {
				ours, err = retry(action, also)
				return err
			})
			limited := route.Has(routeBuffer) || route.Has(routeBufferWas) || host.Has(hostBuffer) || host.Has(hostBufferWas)
			if ours && !limited {
				route.SetWrapped(routeBuffer, keptOfABody)
			}
			return true, err
		})
	})
	if err != nil {
		return err
	}
	return strip(routes)
}

// retry gives a route that has no retries ours, and reports whether it did.
func retry(action *wire.Message, also alsoLeads) (ours bool, err error) {
	if action.Has(actionRetries) || action.Has(actionRetriesBy) {
		return false, nil
	}
	services, err := destinations(action, actionCluster, actionWeighted, also)
	if err != nil || len(services) == 0 {
		return false, err
	}
	every := new(wire.Message).SetUint(prioritiesEvery, priorityEvery)
	policy := new(wire.Message).
		SetText(policyOn, retryOn).
		SetWrapped(policyRetries, retries).
		Set(policyPriority, extension(namePriorities, typePriorities, every)).
		Add(policyHosts, extension(nameHosts, typeHosts, new(wire.Message))).
		SetUint(policyHostPicks, otherHosts).
		Set(policyBackOff, new(wire.Message).SetDuration(backOffBase, firstPause).SetDuration(backOffMax, longestPause))
	for _, service := range services { // only their own mark is believed
		policy.Add(policyHeaders, new(wire.Message).SetText(matcherName, Header).
			Set(matcherText, new(wire.Message).SetText(textExact, service)))
	}
	action.Set(actionRetries, policy)
	return true, nil
}

func extension(name, typeURL string, config *wire.Message) *wire.Message {
	return new(wire.Message).SetText(extensionName, name).Set(extensionConfig, wire.Any(typeURL, config))
}

// destinations are the services that a route or a TCP proxy may lead to, each once: it names one cluster, or several by weight.
func destinations(of *wire.Message, cluster, byWeight wire.Number, also alsoLeads) ([]string, error) {
	clusters := []string{of.Text(cluster)}
	weighted, err := of.Message(byWeight)
	if err != nil {
		return nil, err
	}
	parts, err := weighted.Messages(weightedClusters)
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		clusters = append(clusters, part.Text(weightedName))
	}
	var services []string
	for _, cluster := range clusters {
		name, ok := clustername.Parse(cluster)
		if !ok {
			continue
		}
		leads := []string{name.Service}
		if also != nil {
			leads = append(leads, also(cluster)...)
		}
		for _, service := range leads {
			if !slices.Contains(services, service) {
				services = append(services, service)
			}
		}
	}
	return services, nil
}
