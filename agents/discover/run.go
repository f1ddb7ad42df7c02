// Package discover prints the addresses of Consul's servers, on one line with spaces between, for whoever is told
// exec=discover and its arguments. It takes those of go-discover's own program, by whose name (discover) the program
// answers too, and finds what is named besides:
//
//	consulecs-agent discover [-q] addrs provider=aws key=value...
//	consulecs-agent discover [-q] hosts NAME[,NAME...]
//
// addrs asks AWS for instances (or with service=ecs for tasks) that have a tag: tag_key, tag_value, region (default: the
// task's), addr_type (private_v4, public_v4, public_v6), ecs_cluster, ecs_family, endpoint, access_key_id,
// secret_access_key, session_token. provider=aws is the only one. hosts looks the names up, and needs one of them to be
// found. -q keeps the search itself quiet.
//
// Environment: what the AWS SDK reads, AWS_ENDPOINT_URL and its kin among them; ECS_CONTAINER_METADATA_URI_V4 for the region.
//
// Exit codes: 0 an address is printed; 1 none was found within 30 s, stderr says why; 2 wrong usage.
package discover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-discover/provider/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// Name is the agent's name on the command line, and that of go-discover's program.
const Name = agentconfig.DiscoverProgram

const timeout = 30 * time.Second // of a search

const usage = `Usage: discover [-q] addrs provider=aws key=value...
       discover [-q] hosts NAME[,NAME...]

` // go-discover's own help of the provider follows

// Run searches once.
func Run(ctx context.Context, _ func(string) string, args []string, stdout, stderr io.Writer) error {
	flags := agentargs.New(Name, stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage+(&aws.Provider{}).Help()) }
	quiet := flags.Bool("q", false, "do not tell about the search")
	if err := agentargs.Parse(flags, args); err != nil {
		return err
	}
	told := stderr
	if *quiet {
		told = io.Discard
	}
	log.SetOutput(told) // go-discover tells some of its search there, whatever logger it is given
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var found []string
	var err error
	switch verb, rest := flags.Arg(0), flags.Args(); verb {
	case "addrs":
		found, err = addresses(ctx, rest[1:], log.New(told, "", 0))
	case "hosts":
		found, err = lookUp(ctx, strings.Join(rest[1:], ","))
	default:
		return agentargs.Errorf("%q, want addrs or hosts\n\n%s", verb, usage)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, strings.Join(found, " "))
	return err
}

// addresses has go-discover ask AWS.
func addresses(ctx context.Context, pairs []string, log *log.Logger) ([]string, error) {
	args, err := arguments(pairs)
	if err != nil {
		return nil, err
	}
	type result struct {
		found []string
		err   error
	}
	done := make(chan result, 1)
	go func() { // the library takes no context
		found, err := (&aws.Provider{}).Addrs(args, log)
		done <- result{found, err}
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("ask AWS for servers: %w", context.Cause(ctx))
	case r := <-done:
		if r.err != nil {
			return nil, explain(r.err)
		}
		if len(r.found) == 0 {
			return nil, noneFound(args)
		}
		return r.found, nil
	}
}

// arguments reads key=value pairs. As go-discover does, it leaves keys alone that nobody knows.
func arguments(pairs []string) (map[string]string, error) {
	args := map[string]string{}
	for _, pair := range pairs {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return nil, agentargs.Errorf("argument %q is not key=value", key)
		}
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		args[key] = value
	}
	if provider := args["provider"]; provider != "aws" {
		return nil, agentargs.Errorf("provider=%s: want aws, the one that this program has\nhint: another one takes go-discover's own program in an image of yours", provider)
	}
	return args, nil
}

func explain(err error) error {
	for _, code := range []string{"UnauthorizedOperation", "AccessDenied"} {
		if strings.Contains(err.Error(), code) {
			return fmt.Errorf("%w\nhint: the task role must be allowed ec2:DescribeInstances; with service=ecs, ecs:ListClusters, ecs:ListTasks and ecs:DescribeTasks", err)
		}
	}
	return err
}

// noneFound tells what was looked for, and none of the secrets.
func noneFound(args map[string]string) error {
	what := "no running instance"
	if args["service"] == "ecs" {
		what = "no running task"
	}
	return fmt.Errorf("%s has the tag %s=%s\nhint: see tag_key, tag_value, region and addr_type", what, args["tag_key"], args["tag_value"])
}

// lookUp finds the addresses of all names that have some.
func lookUp(ctx context.Context, names string) ([]string, error) {
	hosts, err := agentconfig.ParseHosts(names)
	if err != nil || hosts.Names == nil {
		return nil, agentargs.Errorf("%q is no list of IP addresses and DNS names", names)
	}
	var found []string
	var errs []error
	for _, name := range hosts.Names {
		addrs, err := net.DefaultResolver.LookupIPAddr(ctx, name)
		if err != nil {
			errs = append(errs, err)
		}
		for _, a := range addrs {
			found = append(found, a.String())
		}
	}
	if len(found) == 0 {
		return nil, errors.Join(errs...)
	}
	return found, nil
}
