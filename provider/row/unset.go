package row

import (
	"context"
	"reflect"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// What a resource leaves out may be supplied by the provider. An empty text is not left out: it means none.

// OrNone admits the empty text besides what a validator admits.
func OrNone(v validator.String) validator.String { return orNone{v} }

type orNone struct{ validator.String }

func (o orNone) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() || req.ConfigValue.ValueString() != "" {
		o.String.ValidateString(ctx, req, resp)
	}
}

// Unset sets what supplied sets and the model does not to nothing: to empty texts and maps, also in objects below that both have.
// Both are pointers to models of one type. It is for models that were read from what runs, where nobody supplies anything.
func Unset[T any](model, supplied *T) {
	if model != nil && supplied != nil {
		unset(reflect.ValueOf(model).Elem(), reflect.ValueOf(supplied).Elem())
	}
}

func unset(model, supplied reflect.Value) {
	for i := range model.NumField() {
		to, from := model.Field(i), supplied.Field(i)
		switch {
		case from.IsZero():
		case to.Kind() == reflect.Map && to.IsNil():
			to.Set(reflect.MakeMap(to.Type()))
		case to.Kind() != reflect.Pointer:
		case to.IsNil() && to.Type().Elem().Kind() == reflect.String:
			to.Set(reflect.New(to.Type().Elem()))
		case !to.IsNil() && to.Type().Elem().Kind() == reflect.Struct:
			unset(to.Elem(), from.Elem())
		}
	}
}
