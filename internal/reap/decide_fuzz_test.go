package reap

import (
	"fmt"
	"testing"
	"time"
)

// FuzzDecide takes looks at a few tasks from bytes, two a look and task, and holds each plan against all looks so far.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{0, 0x3f, 60, 0x3f, 60, 0x3f}, 2, 25)
	f.Add([]byte{0, 0x0b, 30, 0x01, 30, 0x0b, 60, 0x0b}, 0, 100)
	ids := []string{idA, idB, idC, idOwn, "by-hand"}
	f.Fuzz(func(t *testing.T, looks []byte, tasks, percent int) {
		var m Memory
		limits := Limits{tasks % 10, percent % 200}
		since := map[string]time.Duration{} // the oldest look that found the task missing, with none after it that found it otherwise
		passed := map[string]time.Duration{}
		now := time.Duration(0)
		for ; len(looks) >= 2; looks = looks[2:] {
			now += time.Duration(looks[0]) * time.Second
			look := fullLook(now, map[string]Holding{}, map[string]Verdict{})
			for i, id := range ids {
				look.Verdicts[id] = Verdict(int(looks[1]) >> i & 3)
				if looks[1]>>(7-i)&1 == 0 {
					look.Held[id] = holding(id)
				} else {
					delete(since, id)
				}
			}
			plan := m.Decide(look, limits)
			planned := map[string]bool{}
			for _, list := range [][]Removal{plan.Removals, plan.HeldBack, plan.Waiting} {
				for _, r := range list {
					if _, held := look.Held[r.TaskID]; !held || planned[r.TaskID] || r.TaskID == idOwn || !IsTaskID(r.TaskID) {
						t.Fatalf("%v is planned: %+v", r, plan)
					}
					planned[r.TaskID] = true
				}
			}
			for _, r := range plan.Removals {
				if look.Verdicts[r.TaskID] == Stopped {
					continue
				}
				first, absent := since[r.TaskID]
				if look.Verdicts[r.TaskID] != Missing || !absent || now-first < time.Minute || r.Evidence.AbsentFor != now-first {
					t.Fatalf("%v is removed at %v, missing since %v", r, now, first)
				}
				passed[r.TaskID] = now
			}
			within := 0
			for _, at := range passed {
				if now-at < time.Hour {
					within++
				}
			}
			if limit := limits.of(len(ids)); within > limit {
				t.Fatalf("%d missing tasks removed within an hour, the limit is %d", within, limit)
			}
			for _, id := range ids {
				_, held := look.Held[id]
				switch _, noted := since[id]; {
				case look.Verdicts[id] == Missing && held && !noted:
					since[id] = now
				case look.Verdicts[id] == Alive || look.Verdicts[id] == Stopped:
					delete(since, id)
				}
			}
			if len(m.absences) > len(look.Held) || len(m.passed) > len(ids) {
				t.Fatalf("%d absences, %d removals are remembered", len(m.absences), len(m.passed))
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10_000, 50_000} {
		for _, verdict := range []Verdict{Alive, Stopped, Missing} {
			b.Run(fmt.Sprintf("%d %v", n, verdict), func(b *testing.B) {
				held, verdicts := many(n)
				for id := range verdicts {
					verdicts[id] = verdict
				}
				var m Memory
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					m.Decide(fullLook(time.Duration(i)*time.Minute, held, verdicts), Limits{50, 25})
				}
			})
		}
	}
}
