package main

import (
	"os"
	"runtime"
	runtimedebug "runtime/debug"
	"runtime/metrics"
)

// A plan makes much garbage and keeps little: at the runtime's own settings a third of its processor time is the collector's. So
// garbage may come together up to an amount that any machine with Terraform on it has, however little is in use. With many mesh
// tasks more is in use, and the amount grows with it.
const (
	rareCollections = 1000      // percent of what is in use; the memory limit comes before it
	room            = 190 << 20 // bytes; with the program's own pages, 500 mesh tasks then take less than 250 MB
	spare           = 20 << 20  // of the limit, for what is neither in use nor garbage
)

// memoryLimit is how much memory the runtime may have where so much is in use: the room, or as much as with garbage of five eighths of
// what is in use, with which a refresh of 500 mesh tasks stays below 250 MB, too. A limit that what is in use comes near would have the collector run all the time.
func memoryLimit(inUse uint64) int64 {
	return max(room, int64(inUse/8*13)+spare)
}

// collectRarely sets the collector, unless the user has done so, and keeps the limit right after each collection.
func collectRarely() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	runtimedebug.SetGCPercent(rareCollections)
	followCollections(runtimedebug.SetMemoryLimit)
}

// followCollections sets the limit now and after each collection: among the garbage is something that is made for that.
func followCollections(set func(int64) int64) {
	inUse := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(inUse)
	set(memoryLimit(inUse[0].Value.Uint64()))
	garbage := new([64]byte) // by itself in memory, which smaller things are not
	runtime.AddCleanup(garbage, followCollections, set)
}
