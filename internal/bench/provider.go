package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
)

// handshake is what Terraform tells a provider that it starts.
var handshake = []string{"TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2", "PLUGIN_PROTOCOL_VERSIONS=6"}

// providerStarts starts the provider as Terraform does, which needs it several times for one plan.
func (b *bench) providerStarts(ctx context.Context) error {
	program, err := filepath.Abs(b.Provider)
	if err != nil {
		return err
	}
	binary, err := os.Stat(program)
	if err != nil {
		return fmt.Errorf("%w\nhint: run make bench from the repository's root", err)
	}
	b.add(figures.Figure{Name: "terraform-provider-consulecs, program", Unit: "MB"}, float64(binary.Size())/megabyte)
	for range b.Samples {
		ready, served, err := startProvider(ctx, program)
		if err != nil {
			return err
		}
		b.add(figures.Figure{Name: "provider started → takes calls", Unit: "s", Goal: "< 0.15 s"}, ready.Seconds())
		b.add(figures.Figure{Name: "provider started → its schema is there", Unit: "s", Goal: "< 0.15 s"}, served.Seconds())
	}
	return nil
}

// startProvider times a provider until it says where it takes calls, and until it has answered one for its schema.
func startProvider(ctx context.Context, program string) (ready, served time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), handshake...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() { // it would serve for ever, and its end by a signal is none of its failures
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	ready = time.Since(began)
	if err != nil {
		return 0, 0, fmt.Errorf("hear from %s: %w", program, err)
	}
	if err := askForSchema(ctx, line); err != nil {
		return 0, 0, fmt.Errorf("ask %s for its schema: %w", program, err)
	}
	return ready, time.Since(began), nil
}

// askForSchema asks at the address that the provider's first line names.
func askForSchema(ctx context.Context, line string) error {
	said := strings.Split(strings.TrimSpace(line), "|")
	if len(said) < 5 || said[2] != "unix" || said[4] != "grpc" {
		return fmt.Errorf("it says %q", line)
	}
	conn, err := grpc.NewClient("unix:"+said[3], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(plain{}), grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	defer conn.Close()
	var schema []byte
	if err := conn.Invoke(ctx, "/tfplugin6.Provider/GetProviderSchema", []byte(nil), &schema); err != nil {
		return err
	}
	if len(schema) == 0 {
		return errors.New("it is empty")
	}
	return nil
}

// plain passes messages on as they are: what is in them is Terraform's affair.
type plain struct{}

func (plain) Name() string { return "proto" }

func (plain) Marshal(v any) ([]byte, error) { return v.([]byte), nil }

func (plain) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
