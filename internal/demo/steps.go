package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// The services of examples/local, by the name that they have in Consul and in ECS.
const (
	webService = "web"
	apiService = "api"

	shopService  = "shop" // on transparent proxy, as stock
	stockService = "stock"

	kioskService = "kiosk" // calls stock by name, with nothing redirected
)

var services = []string{apiService, kioskService, shopService, stockService, webService}

// demoRate is the load of the rolling replacement, in requests a second.
const demoRate = 50

func (d *demo) worldUp(ctx context.Context) error {
	h, err := startHolder(ctx, d.Name, d.Dir, d.token)
	if err != nil {
		return err
	}
	d.address = h.Address
	d.aws = newAWSFacts(d.address)
	if d.catalog, err = fleet.NewCatalog(d.address, d.token); err != nil {
		return err
	}
	d.terraform, err = testenv.NewTerraform(testenv.TerraformConfig{
		Folder: d.Examples, Work: d.Dir, Provider: d.Provider, Variables: d.address.Variables(), Env: d.address.Env(), Out: d.Out,
	})
	d.fact("AWS      %s", d.address.AWS)
	d.fact("Consul   https://%s, gRPC port %d", d.address.ConsulHTTPS, d.address.ConsulGRPCPort)
	return err
}

func (d *demo) apply(ctx context.Context) error { return d.terraform.Apply(ctx) }

func (d *demo) allPassing(ctx context.Context) error {
	if err := d.allPass(ctx); err != nil {
		return err
	}
	rows, err := d.aws.taskRows(ctx, services...)
	if err != nil {
		return err
	}
	d.table("SERVICE\tTASK\tCONTAINER\tSTATE\tHEALTH", rows)
	for service, url := range map[string]*string{webService: &d.webURL, shopService: &d.shopURL, kioskService: &d.kioskURL} {
		task, err := d.aws.onlyTask(ctx, service)
		if err != nil {
			return err
		}
		*url = "http://" + fleet.IPAddress(task) + ":8080/"
	}
	return nil
}

// allPass waits until all services have one instance and every instance passes, then shows the catalog.
func (d *demo) allPass(ctx context.Context) error {
	var all []fleet.Instance
	_, err := eventually.Seen(ctx, "one passing instance of each service", 60*time.Second, func() (string, error) {
		var err error
		all, err = d.catalog.Instances(ctx, services...)
		passing := slices.IndexFunc(all, func(i fleet.Instance) bool { return i.Status != api.HealthPassing }) < 0
		if err != nil || len(all) == len(services) && passing {
			return "", err
		}
		return fmt.Sprint("the catalog has ", all), nil
	})
	var rows []string
	for _, i := range all {
		rows = append(rows, i.String())
	}
	d.table("SERVICE\tINSTANCE\tSTATUS\tCHECKS", rows)
	return err
}

func (d *demo) refused(ctx context.Context) error {
	err := fleet.Ask(ctx, http.DefaultClient, d.webURL)
	if err == nil {
		return errors.New("web got an answer from api before any intention allowed it")
	}
	d.fact("GET %s: %s", d.webURL, strings.TrimSpace(err.Error()))
	if !strings.Contains(err.Error(), `"called"`) {
		return fmt.Errorf("web itself did not answer: %w", err)
	}
	return nil
}

func (d *demo) allowed(ctx context.Context) error {
	if err := d.catalog.Allow(ctx, webService, apiService); err != nil {
		return err
	}
	begin := time.Now()
	at, err := d.answers(ctx)
	if err != nil {
		return err
	}
	d.fact("GET %s: 200 %s after the intention was written", d.webURL, at.Sub(begin).Round(time.Millisecond))
	return nil
}

// answers waits until web gets its answer from api.
func (d *demo) answers(ctx context.Context) (time.Time, error) {
	return eventually.Seen(ctx, "web → api answers 200", 30*time.Second, func() (string, error) {
		if err := fleet.Ask(ctx, http.DefaultClient, d.webURL); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
}

func (d *demo) rolling(ctx context.Context) error {
	before, err := d.aws.onlyTask(ctx, apiService)
	if err != nil {
		return err
	}
	loadCtx, endLoad := context.WithCancel(ctx)
	defer endLoad()
	done := make(chan fleet.Load, 1)
	go func() { done <- fleet.Apply(loadCtx, d.webURL, demoRate, 120*demoRate) }()
	d.terraform.Set("api_release", "2")
	applied := d.terraform.Apply(ctx)
	_, gone := d.catalog.Leaves(ctx, fleet.TaskID(before), 30*time.Second, services...)
	endLoad()
	load := <-done
	if err := errors.Join(applied, gone); err != nil {
		return err
	}
	after, err := d.aws.onlyTask(ctx, apiService)
	if err != nil {
		return err
	}
	d.fact("task %s replaced by %s", fleet.TaskID(before), fleet.TaskID(after))
	d.fact("%s", load)
	switch {
	case fleet.TaskID(before) == fleet.TaskID(after):
		return errors.New("the task was not replaced")
	case len(load.Failed) > 0:
		return fmt.Errorf("%d of %d requests failed during the replacement, want none", len(load.Failed), load.Sent)
	}
	return nil
}

func (d *demo) killed(ctx context.Context) error {
	victim, err := d.aws.onlyTask(ctx, apiService)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := d.address.KillTask(ctx, aws.ToString(victim.TaskArn)); err != nil {
		return err
	}
	gone, err := d.catalog.Leaves(ctx, fleet.TaskID(victim), 30*time.Second, services...)
	if err != nil {
		return err
	}
	d.fact("task %s out of the catalog %s after the kill", fleet.TaskID(victim), gone.Sub(begin).Round(time.Millisecond))
	if _, err := eventually.Seen(ctx, "the killed task's tokens are deleted", 15*time.Second, func() (string, error) {
		left, err := d.catalog.LoginTokens(ctx, fleet.TaskID(victim))
		return strings.Join(left, ", "), err
	}); err != nil {
		return err
	}
	d.fact("its tokens are deleted")
	return d.recovered(ctx, victim)
}

// leaderKilled takes the leading controller away at the very moment when there is something to do for it.
func (d *demo) leaderKilled(ctx context.Context) error {
	first, err := d.leader(ctx, "")
	if err != nil {
		return err
	}
	victim, err := d.aws.onlyTask(ctx, apiService)
	if err != nil {
		return err
	}
	begin := time.Now()
	for _, task := range []string{first, aws.ToString(victim.TaskArn)} {
		if err := d.address.KillTask(ctx, task); err != nil {
			return err
		}
	}
	next, err := d.leader(ctx, first)
	if err != nil {
		return err
	}
	d.fact("controller %s led, %s leads %s after the kill", path.Base(first), path.Base(next), time.Since(begin).Round(time.Millisecond))
	gone, err := d.catalog.Leaves(ctx, fleet.TaskID(victim), 30*time.Second, services...)
	if err != nil {
		return err
	}
	d.fact("task %s out of the catalog %s after the kill", fleet.TaskID(victim), gone.Sub(begin).Round(time.Millisecond))
	return d.recovered(ctx, victim)
}

// leader waits for a controller that leads, another than that of the task, and is the ARN of its task.
func (d *demo) leader(ctx context.Context, other string) (taskARN string, err error) {
	_, err = eventually.Seen(ctx, "another controller leads", 20*time.Second, func() (missing string, err error) {
		leader, found, err := lock.Look(ctx, d.catalog.Client, mesh.ControllerKey(d.address.Cluster))
		switch {
		case err != nil:
			return "", err
		case !found:
			return "nobody leads", nil
		case leader.Holder == other:
			return "the same one still does", nil
		}
		taskARN = leader.Holder
		return "", nil
	})
	return taskARN, err
}

// recovered waits until the victim's successor carries traffic and tells how long its start took.
func (d *demo) recovered(ctx context.Context, victim ecstypes.Task) error {
	if err := d.allPass(ctx); err != nil {
		return err
	}
	answered, err := d.answers(ctx)
	if err != nil {
		return err
	}
	heir, err := d.aws.onlyTask(ctx, apiService)
	if err != nil {
		return err
	}
	if fleet.TaskID(heir) == fleet.TaskID(victim) {
		return errors.New("the killed task is still the service's")
	}
	d.fact("task %s answers %s after it was created", fleet.TaskID(heir), age(heir, answered))
	started, err := d.address.ContainerStarted(ctx, aws.ToString(heir.TaskArn), "app")
	if err != nil {
		return err
	}
	d.fact("its application container started after %s", age(heir, started))
	return nil
}

func (d *demo) unchanged(ctx context.Context) error {
	changes, err := d.terraform.PlanChanges(ctx)
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		return fmt.Errorf("the plan after the apply is not empty: %s", strings.Join(changes, ", "))
	}
	d.fact("No changes.")
	return nil
}

func (d *demo) destroy(ctx context.Context) error {
	if err := d.terraform.Destroy(ctx); err != nil {
		return err
	}
	_, err := eventually.Seen(ctx, "nothing is left", 20*time.Second, func() (string, error) {
		left, err := d.aws.leftovers(ctx)
		if err != nil {
			return "", err
		}
		tokens, err := d.catalog.LoginTokens(ctx, "")
		if err != nil {
			return "", err
		}
		instances, err := d.catalog.Instances(ctx, services...)
		for _, service := range services {
			proxies, failed := d.catalog.Instances(ctx, service+"-sidecar-proxy")
			instances, err = append(instances, proxies...), errors.Join(err, failed)
		}
		for _, i := range instances {
			left = append(left, "catalog entry "+i.ID)
		}
		for _, t := range tokens {
			left = append(left, "token "+t)
		}
		return strings.Join(left, ", "), err
	})
	if err == nil {
		d.fact("no role, active revision, ECS service, task, token or catalog entry is left")
	}
	return err
}

func (d *demo) worldDown(ctx context.Context) error {
	if err := Down(ctx, d.Name, d.Dir); err != nil {
		return err
	}
	left, err := world.Leftovers(ctx, d.Name)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("left on Docker: %s", strings.Join(left, ", "))
	}
	d.fact("no container, network, volume or process is left")
	return nil
}
