package dataplane

import (
	"context"
	"fmt"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// An Envoy that hangs is alive and answers nobody. health-sync takes its task out of the mesh after three silences, which may pass.
// After ten in a row, five seconds apart, it is taken for lost: as soon as ECS would take the container for UNHEALTHY by a health
// check at its shortest interval. One that answers and is not ready has as long as mesh-ready waits for it: five minutes.
const (
	hangAsks     = 5 * time.Second
	hangSilences = 10
	hangUnready  = 60
)

// watchHang asks Envoy again and again, and ends when there is no more hope of it. With ctx it stops asking. It counts, and does not
// look at the clock: whoever stops the whole container for a while stops both.
func watchHang(ctx context.Context, ask func(context.Context) error) ending {
	hopeless := make(chan struct{})
	var why error
	go func() {
		for silences, unready := 0, 0; sleep.For(ctx, hangAsks); {
			err := ask(ctx)
			switch {
			case err == nil:
				silences, unready = 0, 0
				continue
			case envoy.IsSilence(err):
				silences++
			default:
				silences = 0
			}
			switch unready++; {
			case silences >= hangSilences:
				why = fmt.Errorf("envoy hangs: it is alive and has left %d questions in a row without an answer", silences)
			case unready >= hangUnready:
				why = fmt.Errorf("envoy has not been ready for %s: %w", time.Duration(unready)*hangAsks, err)
			default:
				continue
			}
			close(hopeless)
			return
		}
	}()
	return ending{hopeless, func() error { return why }}
}
