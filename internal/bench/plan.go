package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

// watchEvery is how often the provider's processes are looked at. What one has used is known up to its last such moment.
const watchEvery = 250 * time.Millisecond

// estate is a configuration of many mesh tasks, the real Terraform, and an AWS emulator whose calls are counted.
type estate struct {
	*bench
	proxy     *awsfault.Proxy
	emulator  int // its process
	terraform *testenv.Terraform
	folder    string
	program   string // the provider
	network   network
}

// plans plans mesh tasks that are to be, makes them, plans them anew, and changes one.
func (b *bench) plans(ctx context.Context) (err error) {
	emulator, err := testenv.StartMoto(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, emulator.Stop()) }()
	proxy, stop, err := awsfault.Serve(emulator.URL)
	if err != nil {
		return err
	}
	defer stop()
	e, err := b.estate(ctx, proxy, emulator.URL)
	if err != nil {
		return err
	}
	e.emulator = emulator.PID()
	defer func() { err = errors.Join(err, os.RemoveAll(e.folder)) }()
	if err := e.planned(ctx, "new"); err != nil {
		return err
	}
	if err := e.made(ctx); err != nil {
		return err
	}
	if err := e.planned(ctx, "existing"); err != nil {
		return err
	}
	return e.changed(ctx)
}

func (b *bench) estate(ctx context.Context, proxy *awsfault.Proxy, emulator string) (*estate, error) {
	program, err := filepath.Abs(b.Provider)
	if err != nil {
		return nil, err
	}
	e := &estate{bench: b, proxy: proxy, folder: filepath.Join(b.Dir, "estate"), program: program}
	if err := os.MkdirAll(e.folder, 0o700); err != nil {
		return nil, err
	}
	e.terraform, err = testenv.NewTerraform(testenv.TerraformConfig{
		Folder: e.folder, Work: e.folder, Provider: filepath.Dir(program),
		Env: []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true"},
	})
	if err != nil {
		return nil, err
	}
	if e.network, err = furnishAWS(ctx, emulator); err != nil {
		return nil, err
	}
	return e, e.write("")
}

// What the mesh tasks of an estate name and do not make.
const (
	estateCluster = "estate"
	estatePolicy  = "arn:aws:iam::123456789012:policy/estate"
)

// network is what the emulator wants to know of every service.
type network struct{ subnet, securityGroup string }

// furnishAWS makes them, and finds a network.
func furnishAWS(ctx context.Context, url string) (found network, err error) {
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	if _, err := ecs.NewFromConfig(cfg).CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(estateCluster)}); err != nil {
		return found, err
	}
	ec2Client := ec2.NewFromConfig(cfg)
	subnets, err := ec2Client.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil {
		return found, err
	}
	groups, err := ec2Client.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{})
	if err != nil {
		return found, err
	}
	if len(subnets.Subnets) == 0 || len(groups.SecurityGroups) == 0 {
		return found, errors.New("the emulator has no network")
	}
	_, err = iam.NewFromConfig(cfg).CreatePolicy(ctx, &iam.CreatePolicyInput{
		PolicyName: aws.String(estateCluster), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`),
	})
	return network{aws.ToString(subnets.Subnets[0].SubnetId), aws.ToString(groups.SecurityGroups[0].GroupId)}, err
}

// write writes the configuration: a mesh task with an ECS service each, whose roles have a policy of the user's, as costs the most
// calls. The first one has a tag, unless it is "".
func (e *estate) write(tag string) error {
	var text strings.Builder
	text.WriteString(estateFrame + testenv.ProviderBlock(e.proxy.URL))
	for i := range e.Tasks {
		tags := ""
		if i == 0 && tag != "" {
			tags = fmt.Sprintf("tags = { release = %q }", tag)
		}
		fmt.Fprintf(&text, estateTask, i, estatePolicy, estateCluster, e.network.subnet, e.network.securityGroup, tags)
	}
	return os.WriteFile(filepath.Join(e.folder, "main.tf"), []byte(text.String()), 0o600)
}

// planned plans as often as there are samples: tasks are new or existing.
func (e *estate) planned(ctx context.Context, tasks string) error {
	what := fmt.Sprintf("plan of %d %s mesh tasks", e.Tasks, tasks)
	for i := range e.Samples {
		e.proxy.Forget()
		used, others := watch(e.program), e.others()
		began := time.Now()
		_, err := e.terraform.Output(ctx, "plan", "-input=false", "-no-color", "-state="+e.terraform.State(), "-out="+filepath.Join(e.folder, "plan"))
		took, provider := time.Since(began), used()
		terraform, emulator, usageErr := others(provider.time)
		if err := errors.Join(err, usageErr); err != nil {
			return err
		}
		n := float64(e.Tasks)
		e.add(figures.Figure{Name: what, Unit: "s", Goal: "< 15 s"}, took.Seconds())
		e.add(figures.Figure{Name: what + ", provider's memory at its peak", Unit: "MB", Goal: "< 250 MB"}, float64(provider.peak)/megabyte)
		e.add(figures.Figure{Name: what + ", provider's processor time a task", Unit: "ms"}, 1000*provider.time.Seconds()/n)
		e.add(figures.Figure{Name: what + ", Terraform's processor time a task", Unit: "ms"}, 1000*terraform.Seconds()/n)
		e.add(figures.Figure{Name: what + ", the emulator's processor time a task", Unit: "ms"}, 1000*emulator.Seconds()/n)
		e.add(figures.Figure{Name: what + ", AWS calls a task", Goal: "≤ 6"}, float64(len(e.proxy.Calls()))/n)
		if i == 0 {
			e.say("%s: %s", what, counted(e.proxy.Calls(), n))
		}
		e.say("%s: %d of %d, %.1f s", what, i+1, e.Samples, took.Seconds())
	}
	return nil
}

// others begins to count the processor time that Terraform takes beside a provider's, and the emulator, which both share the cores.
func (e *estate) others() (end func(provider time.Duration) (terraform, emulator time.Duration, err error)) {
	ended := func() time.Duration { // all of this process's children that ended, with theirs
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u) // of which it cannot say that there are none
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	children := ended()
	emulated, err := procs.CPU(e.emulator)
	return func(provider time.Duration) (time.Duration, time.Duration, error) {
		now, laterErr := procs.CPU(e.emulator)
		return ended() - children - provider, now - emulated, errors.Join(err, laterErr)
	}
}

// made applies the configuration.
func (e *estate) made(ctx context.Context) error {
	e.proxy.Forget()
	used := watch(e.program)
	began := time.Now()
	err := e.terraform.Apply(ctx)
	took, provider := time.Since(began), used()
	if err != nil {
		return err
	}
	what, n := fmt.Sprintf("apply of %d new mesh tasks", e.Tasks), float64(e.Tasks)
	e.add(figures.Figure{Name: what, Unit: "s"}, took.Seconds())
	e.add(figures.Figure{Name: what + ", provider's memory at its peak", Unit: "MB", Goal: "< 250 MB"}, float64(provider.peak)/megabyte)
	e.add(figures.Figure{Name: what + ", AWS calls a task"}, float64(len(e.proxy.Calls()))/n)
	e.say("%s: %s", what, counted(e.proxy.Calls(), n))
	return nil
}

// touched is how many resources an apply changed.
var touched = regexp.MustCompile(`(\d+) added, (\d+) changed, (\d+) destroyed`)

// changed gives one task another tag, and counts what that touches.
func (e *estate) changed(ctx context.Context) error {
	if err := e.write("next"); err != nil {
		return err
	}
	e.proxy.Forget()
	out, err := e.terraform.Output(ctx, "apply", "-auto-approve", "-input=false", "-no-color", "-state="+e.terraform.State())
	if err != nil {
		return err
	}
	found := touched.FindSubmatch(out)
	if found == nil {
		return fmt.Errorf("terraform does not say what it changed:\n%s", out)
	}
	sum := 0
	for _, n := range found[1:] {
		count, err := strconv.Atoi(string(n))
		if err != nil {
			return err
		}
		sum += count
	}
	writes := slices.DeleteFunc(e.proxy.Calls(), reads)
	e.add(figures.Figure{Name: fmt.Sprintf("one tag changed among %d mesh tasks, resources touched", e.Tasks), Goal: "1"}, float64(sum))
	e.add(figures.Figure{Name: fmt.Sprintf("one tag changed among %d mesh tasks, AWS calls that write", e.Tasks)}, float64(len(writes)))
	e.say("one tag changed: %s", counted(writes, 1))
	return nil
}

func reads(c awsfault.Call) bool {
	return slices.ContainsFunc([]string{"Get", "List", "Describe"}, func(verb string) bool { return strings.HasPrefix(c.Action, verb) })
}

// counted says how many calls there were of each kind, by the number of tasks.
func counted(calls []awsfault.Call, tasks float64) string {
	by := map[string]float64{}
	for _, c := range calls {
		by[c.Action]++
	}
	var all []string
	for _, action := range slices.Sorted(maps.Keys(by)) {
		all = append(all, fmt.Sprintf("%s %.3g", action, by[action]/tasks))
	}
	return strings.Join(all, ", ")
}

// usage is what the processes of a program have used.
type usage struct {
	peak int64         // of memory of one of them, in bytes
	time time.Duration // of processors, of all
}

// watch looks at the processes of a program until end is called.
func watch(program string) (end func() usage) {
	stop, sum := make(chan struct{}), make(chan usage)
	go func() {
		var u usage
		times := map[int]time.Duration{}
		for tick := time.NewTicker(watchEvery); ; {
			pids, _ := procs.Running(program) // what has ended meanwhile cannot be asked
			for _, pid := range pids {
				if peak, err := procs.Peak(pid); err == nil {
					u.peak = max(u.peak, peak)
				}
				if used, err := procs.CPU(pid); err == nil {
					times[pid] = used
				}
			}
			select {
			case <-tick.C:
			case <-stop:
				tick.Stop()
				for _, used := range times {
					u.time += used
				}
				sum <- u
				return
			}
		}
	}()
	return func() usage { close(stop); return <-sum }
}
