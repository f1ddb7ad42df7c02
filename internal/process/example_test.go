package process_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/process"
)

// A child's last lines usually say why it ended.
func ExampleStart() {
	child, err := process.Start(process.Command{Path: "/bin/sh", Args: []string{"-c", "echo no such file >&2; exit 3"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-child.Done()
	var ended *process.ExitError
	if errors.As(child.Err(), &ended) {
		fmt.Println(ended.ExitCode(), ended.LastLines)
	}
	// Output:
	// 3 [no such file]
}

// Stop asks, waits, and then insists.
func ExampleChild_Stop() {
	child, err := process.Start(process.Command{Path: "/bin/sleep", Args: []string{"60"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(child.Stop(context.Background(), 10*time.Second))
	// Output:
	// sleep: killed by signal: terminated
}
