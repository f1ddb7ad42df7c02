package bench

import (
	"context"
	"fmt"
	"os"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

const (
	megabyte = 1e6
	mebibyte = 1 << 20
)

// sizes are those of what ships, as make build and make setup leave it.
func (b *bench) sizes(ctx context.Context) error {
	binary, err := os.Stat(b.Agent)
	if err != nil {
		return fmt.Errorf("%w\nhint: run make bench from the repository's root", err)
	}
	b.add(figures.Figure{Name: "consulecs-agent, program", Unit: "MB", Goal: "< 30 MB"}, float64(binary.Size())/megabyte)
	for _, image := range []struct{ name, figure string }{
		{toolcache.AgentImage, "image of the agents, Envoy and iptables in it"},
		{toolcache.BaseImage, "of which the base with Envoy and iptables"},
	} {
		size, err := toolcache.ImageSize(ctx, image.name)
		if err != nil {
			return err
		}
		b.add(figures.Figure{Name: image.figure, Unit: "MB"}, float64(size)/megabyte)
	}
	return nil
}
