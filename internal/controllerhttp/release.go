package controllerhttp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
)

// released is the answer to a release.
type released struct {
	Tasks int    `json:"released_tasks"`
	Error string `json:"error,omitempty"`
}

// AskRelease has the controller that serves at address let go of what its brake holds back, and says of how many tasks. It
// has to run where the controller does.
func AskRelease(ctx context.Context, address string) (tasks int, err error) {
	at, err := netip.ParseAddrPort(address)
	switch {
	case err != nil:
		return 0, fmt.Errorf("controller.httpAddress %s: %w", address, err)
	case at.Addr().IsUnspecified(): // every address, loopback's among them
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	case !at.Addr().IsLoopback():
		return 0, fmt.Errorf("controller.httpAddress %s: releases are taken from loopback alone\nhint: set it to an address on 0.0.0.0 or 127.0.0.1", address)
	}
	url := "http://" + at.String() + PathRelease
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("%w\nhint: run it in the container of a controller that runs", err)
	}
	defer resp.Body.Close()
	var answer released
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, fmt.Errorf("POST %s: %s: %w", url, resp.Status, err)
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("POST %s: %s: %s", url, resp.Status, answer.Error)
	}
	return answer.Tasks, nil
}
