//go:build race

package dataplane_test

// raceDetector is on in this build: it multiplies memory.
const raceDetector = true
