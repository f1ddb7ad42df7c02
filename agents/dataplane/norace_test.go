//go:build !race

package dataplane_test

// raceDetector is off in this build.
const raceDetector = false
