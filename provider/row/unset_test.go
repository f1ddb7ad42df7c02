package row

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

type settings struct {
	Text  *string
	Flag  *bool
	Texts map[string]string
	Below *below
}

type below struct{ Text *string }

func TestWhatIsSuppliedIsUnset(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	supplied := &settings{Text: text("a"), Flag: new(bool), Texts: map[string]string{"a": "b"}, Below: &below{text("c")}}
	for name, c := range map[string]struct{ model, want settings }{
		"set":        {settings{Text: text("x"), Texts: map[string]string{"x": "y"}, Below: &below{text("z")}}, settings{Text: text("x"), Texts: map[string]string{"x": "y"}, Below: &below{text("z")}}},
		"not set":    {settings{}, settings{Text: text(""), Texts: map[string]string{}}},
		"half a way": {settings{Below: &below{}}, settings{Text: text(""), Texts: map[string]string{}, Below: &below{text("")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Unset(&c.model, supplied)
			if diff := cmp.Diff(c.want, c.model); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			over := Overlay(supplied, &c.model) // the supplied text is gone
			if *over.Text != *c.model.Text {
				t.Errorf("text %q over %q is %q", *c.model.Text, *supplied.Text, *over.Text)
			}
		})
	}
	Unset(&settings{}, nil)
	Unset(nil, supplied)
}
