package engine

import (
	"context"
	"fmt"

	"github.com/moby/moby/client"
)

// Leftovers names the containers, volumes and networks that Docker still has of the world cfg.World.
func Leftovers(ctx context.Context, cfg Config) ([]string, error) {
	docker, err := connect(ctx, cfg.DockerHost)
	if err != nil {
		return nil, err
	}
	defer docker.Close()
	containers, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: worldFilter(cfg.World)})
	if err != nil {
		return nil, fmt.Errorf("list the containers of world %s: %w", cfg.World, err)
	}
	volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: worldFilter(cfg.World)})
	if err != nil {
		return nil, fmt.Errorf("list the volumes of world %s: %w", cfg.World, err)
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: worldFilter(cfg.World)})
	if err != nil {
		return nil, fmt.Errorf("list the networks of world %s: %w", cfg.World, err)
	}
	var left []string
	for _, c := range containers.Items {
		left = append(left, "container "+c.ID)
	}
	for _, v := range volumes.Items {
		left = append(left, "volume "+v.Name)
	}
	for _, n := range networks.Items {
		left = append(left, "network "+n.Name)
	}
	return left, nil
}
