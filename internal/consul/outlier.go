package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// ServiceDefaults says what became of a service's defaults.
type ServiceDefaults struct {
	Written bool     // false: they hold a passive health check already
	Dropped []string // settings that Consul's servers are too old to know, sorted; they were left out
}

// SetOutlierDetection puts the passive health check into the service's service-defaults, unless they hold one: that is an
// operator's, or that of an earlier task. All else that they hold stays. Whoever changes them at the same moment is not
// overwritten: that is an error, worth another try.
func (c *Connection) SetOutlierDetection(ctx context.Context, service string, o agentconfig.OutlierDetection) (ServiceDefaults, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entry, err := c.serviceDefaults(ctx, service)
	if err != nil {
		return ServiceDefaults{}, fmt.Errorf("read service-defaults of %s: %w", service, err)
	}
	check := passiveHealthCheck(o)
	var result ServiceDefaults
	for {
		changed, err := entry.with(check)
		if err != nil || changed == nil {
			return result, err
		}
		kept, _, err := c.http.ConfigEntries().CAS(changed, changed.index, write(ctx))
		unknown := unknownKeys(err, check)
		switch {
		case len(unknown) > 0:
			maps.DeleteFunc(check, func(key string, _ any) bool { return slices.Contains(unknown, key) })
			result.Dropped = append(result.Dropped, unknown...)
			continue
		case err != nil:
			return result, fmt.Errorf("write service-defaults of %s: %w", service, catalogRefusal(err))
		case !kept:
			return result, fmt.Errorf("write service-defaults of %s: somebody else changed them at the same moment", service)
		}
		result.Written = true
		return result, nil
	}
}

// passiveHealthCheck is Consul's form of the settings, each with its own default.
func passiveHealthCheck(o agentconfig.OutlierDetection) map[string]any {
	check := map[string]any{
		"Interval": orElse(o.Interval, int64(10*time.Second)), "MaxFailures": orElse(o.MaxFailures, 5),
		"EnforcingConsecutiveGatewayFailure": orElse(o.EnforcingConsecutiveGatewayFailure, 100),
		"MaxEjectionPercent":                 orElse(o.MaxEjectionPercent, agentconfig.OutlierShare),
	}
	for key, value := range map[string]*int{
		"EnforcingConsecutive5xx": o.EnforcingConsecutive5xx, "Consecutive5xx": o.Consecutive5xx, "ConsecutiveGatewayFailure": o.ConsecutiveGatewayFailure,
	} {
		if value != nil {
			check[key] = *value
		}
	}
	return check
}

func orElse[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}

// invalidKey is how Consul names a setting that it does not know.
var invalidKey = regexp.MustCompile(`invalid config key "[^"]*?([^."]+)"`)

// unknownKeys are the settings of the check that Consul refused because it does not know them. They are nil when it
// refused anything else besides.
func unknownKeys(err error, check map[string]any) []string {
	var status api.StatusError
	if !errors.As(err, &status) || status.Code != http.StatusBadRequest {
		return nil
	}
	var unknown []string
	for _, match := range invalidKey.FindAllStringSubmatch(status.Body, -1) {
		if _, ours := check[match[1]]; !ours {
			return nil
		}
		unknown = append(unknown, match[1])
	}
	slices.Sort(unknown)
	return unknown
}

// serviceDefaults reads the entry of a service; one that is not there is empty.
func (c *Connection) serviceDefaults(ctx context.Context, service string) (*configEntry, error) {
	scope := c.settings.Scope
	entry := &configEntry{kind: api.ServiceDefaults, name: service, partition: scope.Partition, namespace: scope.Namespace, fields: map[string]json.RawMessage{}}
	_, err := c.http.Raw().Query("/v1/config/"+entry.kind+"/"+service, &entry.fields, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	var status api.StatusError
	switch {
	case errors.As(err, &status) && status.Code == http.StatusNotFound:
		return entry, nil
	case err != nil:
		return nil, catalogRefusal(err)
	}
	err = json.Unmarshal(entry.fields["ModifyIndex"], &entry.index)
	for _, computed := range []string{"CreateIndex", "ModifyIndex", "Hash"} {
		delete(entry.fields, computed)
	}
	return entry, err
}

// configEntry is a config entry as the server told it. The types of package api would lose what a newer server knows.
type configEntry struct {
	kind, name, partition, namespace string
	index                            uint64 // 0 when there is none yet
	fields                           map[string]json.RawMessage
}

// with is the entry with the passive health check; nil if it has one.
func (e *configEntry) with(check map[string]any) (*configEntry, error) {
	upstreams, err := object(e.fields["UpstreamConfig"])
	if err != nil {
		return nil, err
	}
	defaults, err := object(upstreams["Defaults"])
	if err != nil {
		return nil, err
	}
	if own, there := defaults["PassiveHealthCheck"]; there && string(own) != "null" {
		return nil, nil
	}
	for _, level := range []struct {
		into  map[string]json.RawMessage
		key   string
		value any
	}{{defaults, "PassiveHealthCheck", check}, {upstreams, "Defaults", defaults}} {
		if level.into[level.key], err = json.Marshal(level.value); err != nil {
			return nil, err
		}
	}
	changed := *e
	changed.fields = maps.Clone(e.fields)
	changed.fields["UpstreamConfig"], err = json.Marshal(upstreams)
	return &changed, err
}

// object takes a JSON object apart. null and nothing are empty objects.
func object(data json.RawMessage) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if len(data) == 0 || strings.TrimSpace(string(data)) == "null" {
		return fields, nil
	}
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("service-defaults: %w", err)
	}
	return fields, nil
}

// MarshalJSON writes the entry with its name.
func (e *configEntry) MarshalJSON() ([]byte, error) {
	fields := maps.Clone(e.fields)
	for key, value := range map[string]string{"Kind": e.kind, "Name": e.name, "Partition": e.partition, "Namespace": e.namespace} {
		if value == "" {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fields[key] = text
	}
	return json.Marshal(fields)
}

// The rest makes it an api.ConfigEntry.
func (e *configEntry) GetKind() string            { return e.kind }
func (e *configEntry) GetName() string            { return e.name }
func (e *configEntry) GetPartition() string       { return e.partition }
func (e *configEntry) GetNamespace() string       { return e.namespace }
func (e *configEntry) GetMeta() map[string]string { return nil }
func (e *configEntry) GetCreateIndex() uint64     { return 0 }
func (e *configEntry) GetModifyIndex() uint64     { return e.index }
