package row

// Place says that what lies below from in a Spec lies below to in the resource. A star stands for an index.
type Place struct{ From, To string }
