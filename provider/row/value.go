package row

// Value is what p points to; the zero value if it is nil.
func Value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Spell sets what is nil to its default.
func Spell[T any](p **T, otherwise T) {
	if *p == nil {
		*p = &otherwise
	}
}
