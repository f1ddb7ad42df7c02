package provider_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// partitions are those of AWS that the emulator knows, each by a Region of its own, and the domain of its registries. provider/meshtask
// tries the others.
var partitions = map[string]struct{ region, domain string }{
	"aws":        {"eu-central-1", "amazonaws.com"},
	"aws-us-gov": {"us-gov-west-1", "amazonaws.com"},
	"aws-cn":     {"cn-north-1", "amazonaws.com.cn"},
	"aws-iso":    {"us-iso-east-1", "c2s.ic.gov"},
	"aws-iso-b":  {"us-isob-east-1", "sc2s.sgov.gov"},
	"aws-eusc":   {"eusc-de-east-1", "amazonaws.eu"},
}

// recorder stands before an emulator and keeps what is said to it, by the Region that the request is signed for.
type recorder struct {
	mu   sync.Mutex
	said map[string]string
}

var signedFor = regexp.MustCompile(`Credential=[^/]+/\d+/([a-z0-9-]+)/`)

func record(t *testing.T, emulator string) (*recorder, string) {
	t.Helper()
	behind, err := url.Parse(emulator)
	if err != nil {
		t.Fatal(err)
	}
	r, proxy := &recorder{said: map[string]string{}}, httputil.NewSingleHostReverseProxy(behind)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		text, err := url.QueryUnescape(string(body))
		if region := signedFor.FindStringSubmatch(req.Header.Get("Authorization")); err == nil && region != nil {
			r.mu.Lock()
			r.said[region[1]] += text + "\n"
			r.mu.Unlock()
		}
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	return r, server.URL
}

// partitioned is a mesh task and a controller that name as much as they can in a partition.
func partitioned(partition string) (task, control fields) {
	at := partitions[partition]
	secret := "arn:" + partition + ":secretsmanager:" + at.region + ":123456789012:secret:"
	registry := "123456789012.dkr.ecr." + at.region + "." + at.domain
	servers := fields{"hosts": "consul.example.com", "tls": fields{"server_name": "server.dc1.consul", "ca_secret_arn": secret + "ca"}}
	log := fields{"log_driver": "awslogs", "options": fields{"awslogs-group": "/mesh", "awslogs-region": at.region, "awslogs-stream-prefix": "mesh", "awslogs-create-group": "true"}}
	task = meshTask(fields{
		"provider": "consulecs." + partition, "family": "partition-" + partition, "consul_servers": servers, "login": fields{"enabled": true},
		"sidecars": fields{"image": registry + "/agent:1", "log_configuration": log},
		"container": container(fields{
			"image": registry + "/app:1", "secrets": fields{"A": "by-its-name", "B": secret + "b"},
			"environment_file": []any{fields{"type": "s3", "value": "arn:" + partition + ":s3:::bucket/file.env"}},
		}),
	})
	control = controller(fields{
		"provider": "consulecs." + partition, "cluster": "partition", "name": "partition-" + partition, "consul_servers": servers, "log_configuration": log,
		"token_secret_arn": nil, "login": fields{"enabled": true}, "first_token_secret_arn": secret + "first",
	})
	return task, control
}

// In every partition, the ARNs that go out are that partition's, whatever they name.
func TestARNsAreThoseOfThePartition(t *testing.T) {
	t.Parallel()
	heard, address := record(t, startMoto(t).url)
	c := cloudAt(address)
	tasks, controllers, providers := fields{}, fields{}, []any{}
	for partition, at := range partitions {
		if _, err := cloudIn(address, at.region).ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("partition")}); err != nil {
			t.Fatal(err)
		}
		providers = append(providers, with(fields{"alias": partition, "region": at.region}, fields{"endpoints": c.frame(nil)["provider"].(fields)["consulecs"].(fields)["endpoints"]}))
		tasks[partition], controllers[partition] = partitioned(partition)
	}
	dir := workDir(t)
	frame := c.frame(fields{"consulecs_mesh_task": tasks})
	frame["provider"] = fields{"consulecs": providers}
	dir.write(t, "main.tf.json", frame)
	tf := dir.terraform(t)
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	frame["resource"] = fields{"consulecs_mesh_task": tasks, "consulecs_controller": controllers}
	dir.write(t, "main.tf.json", frame)
	for address, values := range plannedBy(t, tf) { // the emulator has networks, which a controller's service needs, in some Regions only
		text, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		_, partition, _ := strings.Cut(address, ".")
		wantPartition(t, address, partition, string(text), map[bool]string{true: "iam ecs sqs events secretsmanager logs", false: "iam ecs ecr"}[strings.HasPrefix(address, "consulecs_controller")])
	}
	for partition, at := range partitions {
		wantPartition(t, "AWS in "+at.region, partition, heard.said[at.region], "ecs secretsmanager s3")
	}
}

var anyARN = regexp.MustCompile(`arn:(aws[a-z-]*):([a-z0-9-]*):`)

// wantPartition wants all ARNs to be the partition's, and those of the services to be among them.
func wantPartition(t *testing.T, who, partition, text, services string) {
	t.Helper()
	named := map[string]bool{}
	for _, found := range anyARN.FindAllStringSubmatch(text, -1) {
		if named[found[2]] = true; found[1] != partition {
			t.Errorf("%s: %s is not of %s", who, found[0], partition)
		}
	}
	for _, service := range strings.Fields(services) {
		if !named[service] {
			t.Errorf("%s hears of nothing of %s, only of %v", who, service, slices.Sorted(maps.Keys(named)))
		}
	}
}

// cloudIn is the cloud at a URL, seen from a Region.
func cloudIn(url, region string) cloud {
	cfg := aws.Config{Region: region, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	return cloud{url: url, config: cfg, ecs: ecs.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg)}
}
