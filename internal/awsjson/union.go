package awsjson

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The SDK has an interface for a type of which exactly one member may be set, and a struct with a field Value for each member. In
// JSON it is an object with one key: {"nvidiaMps": {"memory": 1024}}.

// unions are the interfaces of the SDK that are read, with the structs of their members.
var unions = map[reflect.Type][]reflect.Type{
	reflect.TypeFor[ecstypes.SharingStrategy](): {reflect.TypeFor[ecstypes.SharingStrategyMemberNvidiaMps]()},
}

// Members are the types of what a union's members hold, by their keys; none if t is no union.
func Members(t reflect.Type) map[string]reflect.Type {
	members := map[string]reflect.Type{}
	for _, member := range unions[t] {
		value, _ := member.FieldByName("Value")
		members[memberKey(t, member)] = value.Type
	}
	return members
}

// memberKey is the key of a union's member, whose struct is named SharingStrategyMemberNvidiaMps.
func memberKey(union, member reflect.Type) string {
	return lowerFirst(strings.TrimPrefix(member.Name(), union.Name()+"Member"))
}

func encodeUnion(v reflect.Value) (any, bool, error) {
	if v.IsNil() {
		return nil, false, nil
	}
	member := reflect.Indirect(v.Elem())
	if _, known := unions[v.Type()]; !known || member.Kind() != reflect.Struct {
		return nil, false, fmt.Errorf("encode: no JSON form for %s", v.Type())
	}
	plain, _, err := encode(member.FieldByName("Value"))
	return map[string]any{memberKey(v.Type(), member.Type()): plain}, true, err
}

func (d decoder) decodeUnion(plain any, v reflect.Value, path string) error {
	object, ok := plain.(map[string]any)
	if !ok || len(object) != 1 {
		return typeError(plain, "an object with one key", path)
	}
	for _, member := range unions[v.Type()] {
		k := memberKey(v.Type(), member)
		if value, ok := object[k]; ok {
			made := reflect.New(member)
			v.Set(made)
			return d.decode(value, made.Elem().FieldByName("Value"), join(path, k))
		}
	}
	return fmt.Errorf("%s: unknown key, want one of %s", path, strings.Join(slices.Sorted(maps.Keys(Members(v.Type()))), ", "))
}
