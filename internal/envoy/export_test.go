package envoy

import "reflect"

// CentralKeys are the keys that ParseCentral reads.
func CentralKeys() []string {
	var keys []string
	for t, i := reflect.TypeFor[centralKeys](), 0; i < t.NumField(); i++ {
		keys = append(keys, t.Field(i).Tag.Get("mapstructure"))
	}
	return keys
}
