package toolcache

import (
	"os"
	"path/filepath"
)

// favours are the kernel's settings for how much of a busy machine's CPU all containers of a Docker daemon get together: as
// much as twenty busy threads, in the words of either version of control groups, instead of as much as one. On ECS a task
// has CPU of its own; here tasks share the machine with compilers, emulators and the tests themselves, and an Envoy that
// gets none for seconds loses requests whatever the mesh does.
var favours = map[string]string{
	"cpu/docker/cpu.shares": "20480", // version 1
	"docker/cpu.weight":     "2000",  // version 2
}

// favourContainers applies favours where the kernel shows its control groups, unless systemd keeps them.
func favourContainers() {
	if !exists("/run/systemd/system") {
		applyFavours("/sys/fs/cgroup")
	}
}

// applyFavours does what it may: where there are no control groups, or they are not ours to set, containers get what they
// get.
func applyFavours(root string) {
	for file, value := range favours {
		file = filepath.Join(root, file)
		// A daemon that has run no container yet has no group; a hierarchy that is not there has no folder to make it in.
		_ = os.Mkdir(filepath.Dir(file), 0o755)
		if exists(file) {
			_ = os.WriteFile(file, []byte(value), 0o644)
		}
	}
}
