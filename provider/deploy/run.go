package deploy

import "sync"

// run is what is learnt while Terraform makes one plan, or one apply: it configures the provider anew for each.
type run struct {
	mu      sync.Mutex
	read    map[string]bool // by the ID of the owner: it was read, or removed
	removed map[string]bool
	planned map[string]bool // by the names of what is planned: whether it is new
	active  map[string]func() (bool, error)
	asked   int // roles
	listed  func() (map[string]bool, error)

	seen     int             // roles
	written  map[string]bool // roles, by name
	gathered gathered
}

// rolesAskedFor is how many new roles are asked for one by one. For more, all of the account are listed once: IAM answers twenty calls
// a second or so.
const rolesAskedFor = 20

func (r *run) asksForAll() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return r.asked > rolesAskedFor
}

// roles are the names of all roles, listed once.
func (r *run) roles(list func() (map[string]bool, error)) (map[string]bool, error) {
	r.mu.Lock()
	if r.listed == nil {
		r.listed = sync.OnceValues(list)
	}
	listed := r.listed
	r.mu.Unlock()
	return listed()
}

// seesMany counts a look at a role.
func (r *run) seesMany() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen++
	return r.seen > rolesSeenOneByOne
}

// writes notes a role that the run makes, changes or deletes: what was read at once no longer holds for it.
func (r *run) writes(role string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written[role] = true
}

func (r *run) hasWritten(role string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.written[role]
}

func newRun() *run {
	return &run{
		read: map[string]bool{}, removed: map[string]bool{}, planned: map[string]bool{}, active: map[string]func() (bool, error){},
		written: map[string]bool{}, gathered: gathered{done: make(chan struct{})},
	}
}

// reads notes the owner of what was read, removes that of what was removed; "" is none.
func (r *run) reads(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read[id] = id != ""
}

func (r *run) removes(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read[id], r.removed[id] = id != "", id != ""
}

// makes notes that there is again what an owner whose ID is always the same had removed.
func (r *run) makes(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.removed, id)
}

func (r *run) hasRead(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read[id]
}

func (r *run) hasRemoved(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed[id]
}

// plan notes the names and returns those that were noted before, for or beside a new resource. Two existing ones may have one name,
// as where one thing was imported twice.
func (r *run) plan(names []string, isNew bool) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var twice []string
	for _, name := range names {
		wasNew, noted := r.planned[name]
		if noted && (isNew || wasNew) {
			twice = append(twice, name)
		}
		r.planned[name] = isNew || wasNew
	}
	return twice
}

func (r *run) isActive(ecsCluster string, ask func() (bool, error)) (bool, error) {
	r.mu.Lock()
	asked := r.active[ecsCluster]
	if asked == nil {
		asked = sync.OnceValues(ask)
		r.active[ecsCluster] = asked
	}
	r.mu.Unlock()
	return asked()
}
